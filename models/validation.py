"""What an option of an architecture may be, and the words that refuse the rest."""

from collections.abc import Sequence
from typing import Any

from fovea.models.registry import nearest


def choose(option: str, value: Any, known: Sequence[Any]) -> None:
    """Refuse a value that an option does not have.

    Raises:
        ValueError: With all values and the nearest one.
    """
    if value not in known:
        names = [str(each) for each in known]
        raise ValueError(
            f"The {option} must be one of {', '.join(names)}{nearest(value, names)}. "
            f"Received: {option}={value}"
        )


def share(option: str, value: float) -> None:
    """Refuse what is not at least 0 and below 1.

    Raises:
        ValueError: With the rule.
    """
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(
            f"The option {option} is a share of the activations, at least 0 and "
            f"below 1. Received: {option}={value}"
        )


def whole(option: str, value: Any) -> None:
    """Refuse what is not a whole number of at least 1.

    Raises:
        ValueError: With the rule.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"The option {option} must be a whole number, at least 1. "
            f"Received: {option}={value}"
        )
