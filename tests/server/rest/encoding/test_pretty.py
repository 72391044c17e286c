"""JSON values in error texts, as rapidjson writes them."""

import json
import math

import pytest

from fovea.serving.server.rest.encoding.pretty import SHOWN_BYTES, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.8446744073709552e19, "18446744073709553000.0"),
        (1e39, "1e39"),
        (1 / 3, "0.3333333333333333"),
        (3.4028235e38, "3.4028235e38"),
        (1.5e-7, "1.5e-7"),
        (5e-324, "5e-324"),
        (-0.0, "-0.0"),
        (2**64 - 1, "18446744073709551615"),
        (-(2**63), "-9223372036854775808"),
        (math.nan, ""),
        (-math.inf, ""),
    ],
)
def test_numbers(value, text):
    assert value_text(value) == text
    assert value_text([value]).startswith(f"[{text}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "[]"),
        ({}, "{}"),
        ([1, math.nan, 2], "[1, "),
        ([math.inf], "["),
        ({"a": math.nan, "b": 1}, '{\n    "a": '),
        ([{"a": [True, None]}], '[{\n        "a": [true, null]\n    }]'),
    ],
)
def test_a_number_that_is_not_finite_ends_the_text(value, text):
    assert value_text(value) == text


def test_tokens_after_256_bytes_are_omitted():
    long = "é" * SHOWN_BYTES
    assert value_text(long) == f'"{long}"'
    assert value_text([1, long, 2]) == f'[1, "{long}"'
    assert value_text({"a": long, "b": 2}) == f'{{\n    "a": "{long}"'
    assert value_text({long: 1}) == f'{{\n    "{long}"'
    numbers = value_text(list(range(10**6)))
    shown = json.loads(f"{numbers}]")
    assert shown == list(range(len(shown)))
    last = len(f", {shown[-1]}")
    assert len(numbers) - last <= SHOWN_BYTES < len(numbers)
