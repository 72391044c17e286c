"""A double as rapidjson 1.1.0 writes it: the algorithm Grisu2.

The text reads back as the same double and nearly always has the fewest digits that do.
Its last digit is not always the nearest one (2^64 is 18446744073709553000.0), so
Python's `repr`, which is exact, cannot replace it.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

_WORD = 64
_MANTISSA_BITS = 52
_HIDDEN_BIT = 1 << _MANTISSA_BITS
_MIN_EXPONENT = -1074

# The powers of ten that rapidjson has in a table: 10^-348, 10^-340 ...
_FIRST_POWER, _POWER_STEP = -348, 8
# The last digit is not rounded if it is this far behind the point, or further.
_UNROUNDED = 9


class _Scaled(NamedTuple):
    """The number `mantissa` * 2^`exponent`; the mantissa has at most 64 bits."""

    mantissa: int
    exponent: int

    def normalized(self) -> _Scaled:
        """Return the same number with a mantissa of exactly 64 bits."""
        shift = _WORD - self.mantissa.bit_length()
        return _Scaled(self.mantissa << shift, self.exponent - shift)

    def times(self, other: _Scaled) -> _Scaled:
        """Return the product, rounded to 64 bits."""
        product = self.mantissa * other.mantissa + (1 << (_WORD - 1))
        return _Scaled(product >> _WORD, self.exponent + other.exponent + _WORD)


def double_text(number: float) -> str:
    """Return the text of a finite number.

    It is a plain decimal between 1e-6 and 1e21, else has an exponent.
    """
    sign = "-" if math.copysign(1, number) < 0 else ""
    if number == 0:
        return f"{sign}0.0"
    digits, exponent = _digits(abs(number))
    point = len(digits) + exponent  # digits before the decimal point
    if exponent >= 0 and point <= 21:
        return f"{sign}{digits}{'0' * exponent}.0"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1}"


def _digits(number: float) -> tuple[str, int]:
    """Return digits and a power of ten that together read back as a positive number."""
    exponent = max(math.frexp(number)[1] - _MANTISSA_BITS - 1, _MIN_EXPONENT)
    mantissa = int(math.ldexp(number, -exponent))
    value = _Scaled(mantissa, exponent)
    # The numbers halfway to the next doubles; below a power of 2 they are denser.
    high = _Scaled(2 * mantissa + 1, exponent - 1).normalized()
    low = _Scaled(2 * mantissa - 1, exponent - 1)
    if mantissa == _HIDDEN_BIT:
        low = _Scaled(4 * mantissa - 1, exponent - 2)
    low = _Scaled(low.mantissa << (low.exponent - high.exponent), high.exponent)
    power, ten = _power_of_ten(high.exponent)
    scaled_high = high.times(ten)
    upper = scaled_high.mantissa - 1
    lower = low.times(ten).mantissa + 1
    distance = upper - value.normalized().times(ten).mantissa
    digits, exponent = _generate(upper, -scaled_high.exponent, upper - lower, distance)
    return digits, exponent - power


@functools.lru_cache
def _power_of_ten(exponent: int) -> tuple[int, _Scaled]:
    """Return the power that scales a number of this exponent, and its value."""
    index = math.ceil((-61 - exponent) * 0.30102999566398114 + 347) // _POWER_STEP + 1
    power = _FIRST_POWER + index * _POWER_STEP
    numerator, denominator = (10**power, 1) if power >= 0 else (1, 10**-power)
    shift = _WORD + denominator.bit_length() - numerator.bit_length()
    while True:
        up, down = max(shift, 0), max(-shift, 0)
        divisor = denominator << down
        mantissa = (2 * (numerator << up) + divisor) // (2 * divisor)
        if mantissa.bit_length() == _WORD:
            return power, _Scaled(mantissa, -shift)
        shift -= 1


def _generate(high: int, bits: int, delta: int, distance: int) -> tuple[str, int]:
    """Generate digits until they lie in the interval of what reads back as the number.

    Args:
        high: The upper end of the interval, a fixed-point number like the other two.
        bits: How many of its bits are behind the binary point.
        delta: The size of the interval.
        distance: How far the number is below the upper end.

    Returns:
        The digits, and the power of ten of the last one.
    """
    one = 1 << bits
    whole, rest = high >> bits, high & (one - 1)
    text = str(whole)
    for index in range(1, len(text) + 1):
        kappa = len(text) - index
        left = ((whole % 10**kappa) << bits) + rest
        if left <= delta:
            digits = int(text[:index])
            digits = _rounded(digits, delta, left, 10**kappa << bits, distance)
            return str(digits), kappa
    digits, kappa = whole, 0
    while True:
        rest *= 10
        delta *= 10
        digits = digits * 10 + (rest >> bits)
        rest &= one - 1
        kappa -= 1
        if rest < delta:
            scaled = distance * 10**-kappa if -kappa < _UNROUNDED else 0
            return str(_rounded(digits, delta, rest, one, scaled)), kappa


def _rounded(digits: int, delta: int, left: int, unit: int, distance: int) -> int:
    """Lower the last digit while that brings the digits closer to the number."""
    while (
        left < distance
        and delta - left >= unit
        and (left + unit < distance or distance - left > left + unit - distance)
    ):
        digits -= 1
        left += unit
    return digits
