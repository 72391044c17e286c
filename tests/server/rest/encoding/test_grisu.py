"""Doubles in error texts: they parse to the same value, in rapidjson's format."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.serving.server.rest.encoding.grisu import double_text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_parses_to_the_same_value(number):
    text = double_text(number)
    assert float(text) == number
    assert math.copysign(1, float(text)) == math.copysign(1, number)
    assert ("e" in text) == (number != 0 and not 1e-6 <= abs(number) < 1e21)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1.0"),
        (1e5, "100000.0"),
        (0.00001, "0.00001"),
        (1e-7, "1e-7"),
        (1.5e30, "1.5e30"),
        (1e21, "1e21"),
        (123456789012.5, "123456789012.5"),
        (-0.0, "-0.0"),
        (1 / 3, "0.3333333333333333"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e308"),
        (2.2250738585072014e-308, "2.2250738585072014e-308"),
        # The last digit is not rounded, as recorded; the nearest one is 2.
        (2.0**64, "18446744073709553000.0"),
        # One double in some thousands has more digits than it needs.
        (57.24634, "57.246339999999999"),
    ],
)
def test_form(number, text):
    assert double_text(number) == text
