"""The floating-point numbers of responses, in the form of TensorFlow Serving."""

from __future__ import annotations

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
