"""JSON to tf.Examples."""

import math

import pytest
from tensorflow.core.example import example_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.rest.encoding.json_to_examples import serialized_examples


def test_numbers_that_a_float_cannot_hold_are_rounded():
    values = [1e39, -1e39, 16777217.0, 3.40282347e38]
    (raw,) = serialized_examples({"examples": [{"x": values}]})
    example = example_pb2.Example.FromString(raw)
    greatest = 2.0**128 - 2.0**104
    expected = [math.inf, -math.inf, 16777216.0, greatest]
    assert example.features.feature["x"].float_list.value == expected


def test_integers_of_more_than_63_bits_are_rejected():
    with pytest.raises(ServingError) as caught:
        serialized_examples({"examples": [{"x": 2**63}]})
    assert caught.value.message == (
        "Feature: x has uint64_t element. Only int64_t is supported."
    )
