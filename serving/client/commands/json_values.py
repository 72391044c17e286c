"""Convert results to values that the standard library's json writes."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """Convert named tuples, at any depth, to dictionaries by field name."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
