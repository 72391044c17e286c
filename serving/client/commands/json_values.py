"""Answers -> what the standard library's json writes."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """Turn named tuples, at any depth, into dictionaries by their fields' names."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
