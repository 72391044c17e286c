"""Checks of option values, and the wording of their errors."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


def nearest(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" for the known word closest to `word`, or ""."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def check_choice(option: str, value: Any, known: Sequence[Any]) -> None:
    """Check that a value is one of those that an option can have.

    Args:
        option: Name of the option.
        value: Value to check.
        known: Allowed values.

    Raises:
        ValueError: If it is not; the message lists the allowed values and
            suggests the nearest.
    """
    if value not in known:
        names = [str(each) for each in known]
        raise ValueError(
            f"The {option} must be one of {', '.join(names)}{nearest(value, names)}. "
            f"Received: {option}={value}"
        )


def check_fraction(option: str, value: Any) -> None:
    """Check that a fraction of activations is at least 0 and below 1.

    Args:
        option: Name of the option.
        value: Value to check.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(
            f"The option {option} is a fraction of the activations, at least 0 and "
            f"below 1. Received: {option}={value}"
        )


def check_penalty(option: str, value: Any) -> None:
    """Check that the factor of a penalty in the loss is a number of at least 0.

    Args:
        option: Name of the option.
        value: Value to check.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(value, int | float) or not value >= 0:
        raise ValueError(
            "A penalty's factor is a number that must not be negative. "
            f"Received: {option}={value}"
        )


def check_count(option: str, value: Any) -> None:
    """Check that a value is an integer of at least 1.

    Args:
        option: Name of the option.
        value: Value to check.

    Raises:
        ValueError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"The option {option} must be a whole number, at least 1. "
            f"Received: {option}={value}"
        )
