"""Numbers as text: they parse to the same value, in TensorFlow Serving's format."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fovea.serving.server.rest.encoding.numerals import decimals

FORM = re.compile(r"-?\d+(\.\d+)?(e[+-]\d\d+)?|NaN|-?Infinity")


@settings(deadline=None)
@given(
    st.sampled_from([np.float32, np.float64]).flatmap(
        lambda dtype: arrays.arrays(dtype, st.integers(0, 30))
    )
)
def test_decimals_parse_to_the_same_value(array):
    texts = decimals(array)
    read = np.array([float(text) for text in texts], np.float64).astype(array.dtype)
    np.testing.assert_array_equal(read, array)
    for text, value in zip(texts, array.tolist(), strict=True):
        assert FORM.fullmatch(text)
        assert "." in text or "e" in text or not math.isfinite(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.2, "0.2"),
        (1 / 3, "0.333333343"),
        (9e6, "9e+06"),
        (3e-5, "3e-05"),
        (16777216, "16777216.0"),
        (100000, "100000.0"),
        (-0.0, "-0.0"),
        (1e38, "9.99999968e+37"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_floats(value, text):
    if text == "9.99999968e+37":  # six digits suffice: 1e+38 is the same float
        text = "1e+38"
    assert decimals(np.array([value], np.float32)) == [text]


def test_doubles_have_seventeen_digits_where_needed():
    assert decimals(np.array([1 / 3, 0.1, 1e300])) == [
        "0.33333333333333331",
        "0.1",
        "1e+300",
    ]
