"""Dataclass fields that check their values."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any


def whole(default: int, *, least: int = 0) -> Any:
    """Return a field for whole numbers of at least `least`."""

    def check(value: Any) -> int | None:
        usable = isinstance(value, int) and not isinstance(value, bool)
        return value if usable and value >= least else None

    return _field(default, check, f"a whole number of at least {least}")


def number(default: float, usable: Callable[[float], bool], rule: str) -> Any:
    """Return a field for numbers; infinities and NaN must not be `usable`."""

    def check(value: Any) -> float | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value) if usable(value) else None

    return _field(default, check, f"a number {rule}")


def switch(default: bool) -> Any:
    """Return a field that is true or false."""

    def check(value: Any) -> bool | None:
        return value if isinstance(value, bool) else None

    return _field(default, check, "true or false")


def choice(default: Any, choices: Sequence[Any]) -> Any:
    """Return a field for one of a few values."""

    def check(value: Any) -> Any:
        same = [each for each in choices if each is value or each == value]
        return same[0] if same and type(same[0]) is type(value) else None

    words = [str(each).lower() for each in choices]
    return _field(default, check, f"{', '.join(words[:-1])} or {words[-1]}")


def numbers(rule: str, *, each: int = 1) -> Any:
    """Return a field for a list of ascending whole numbers.

    Args:
        rule: The rule, for the error message.
        each: Numbers in an entry; if more than one, entries are lists, ascending by
            their first number.
    """

    def check(value: Any) -> tuple[Any, ...] | None:
        if not isinstance(value, (list, tuple)):
            return None
        entries = [tuple(e) if isinstance(e, (list, tuple)) else (e,) for e in value]
        for entry in entries:
            if len(entry) != each or not all(type(n) is int and n >= 0 for n in entry):
                return None
        firsts = [entry[0] for entry in entries]
        if firsts != sorted(set(firsts)):
            return None
        return tuple(entries) if each > 1 else tuple(firsts)

    return _field((), check, rule)


def check(instance: Any) -> None:
    """Check every field of a frozen dataclass, and store what its check returns.

    Raises:
        ValueError: If a value breaks its field's rule.
    """
    for field in dataclasses.fields(instance):
        if "check" not in field.metadata:
            continue
        value = getattr(instance, field.name)
        checked = field.metadata["check"](value)
        if checked is None:
            raise ValueError(
                f"{field.name} must be {field.metadata['rule']}. "
                f"Received: {field.name}={value}"
            )
        object.__setattr__(instance, field.name, checked)


def _field(default: Any, check: Callable[[Any], Any], rule: str) -> Any:
    return dataclasses.field(default=default, metadata={"check": check, "rule": rule})
