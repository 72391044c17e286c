"""Floating-point numbers as text, in the two forms that TensorFlow Serving writes."""

from __future__ import annotations

import math

import numpy as np

# Significant digits that always read back as the same number.
_FULL_DIGITS = {np.dtype(np.float32): 9, np.dtype(np.float64): 17}


def decimals(values: np.ndarray) -> list[str]:
    """Format the numbers of a response: six digits where they suffice, else all.

    Args:
        values: A float32 or float64 array of any shape.

    Returns:
        One text per value, in the array's order. Each reads back as the same value, and
        has a point or an exponent.
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    if not flat.size:
        return []
    texts = _formatted(flat.tolist(), 6)
    short = np.array(list(map(float, texts))).astype(flat.dtype)
    lossy = np.flatnonzero(short != flat).tolist()
    if lossy:
        exact = _formatted(flat[lossy].tolist(), _FULL_DIGITS[flat.dtype])
        for index, text in zip(lossy, exact, strict=True):
            texts[index] = text
    return [_marked(text) for text in texts]


def _formatted(numbers: list[float], digits: int) -> list[str]:
    # One format for all takes a fraction of the time of one for each.
    return ((f"%.{digits}g " * len(numbers)) % tuple(numbers)).split()


def _marked(text: str) -> str:
    if "." in text or "e" in text:
        return text
    return _NOT_FINITE.get(text) or text + ".0"


_NOT_FINITE = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def shortest(number: float) -> str:
    """Format a finite number inside a JSON value of an error, as rapidjson does.

    It has the fewest digits that read back as the same number; it is a plain decimal
    between 1e-6 and 1e21, else has an exponent.
    """
    if number == 0 or not math.isfinite(number):
        return "-0.0" if math.copysign(1, number) < 0 else "0.0"
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)  # digits before the decimal point
    if whole == "0":
        point -= len(whole) + len(fraction) - len(digits)
    digits = digits.rstrip("0")
    sign = "-" if number < 0 else ""
    if len(digits) <= point <= 21:
        return f"{sign}{digits.ljust(point, '0')}.0"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1}"
