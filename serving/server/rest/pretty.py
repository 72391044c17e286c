"""JSON text as TensorFlow Serving writes it, including white space."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from fovea.serving.server.rest.numerals import decimals, shortest

# Longer values are cut where an error shows them.
SHOWN_BYTES = 256

# Doubles up to here are shown with the digits of a float.
_MAX_SHOWN_AS_FLOAT = 3.4028234e38

_SPECIAL = re.compile(r'["\\\x00-\x1f]')
_NAMED = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


def quote(text: str) -> str:
    """Return a JSON string; only quotes, backslashes and control characters escaped."""
    return f'"{_SPECIAL.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _NAMED.get(character) or f"\\u{ord(character):04X}"


def indent(level: int) -> str:
    """Return a line break and the indentation inside so many objects and arrays."""
    return "\n" + "    " * level


def to_bytes(text: str) -> bytes:
    """Encode a body; bytes of a request that were not UTF-8 are restored."""
    return text.encode("utf-8", "surrogateescape")


def error_body(message: str) -> bytes:
    """Return the body of an error reply."""
    return to_bytes(f'{{{indent(1)}"error": {quote(message)}\n}}')


def value_text(value: Any) -> str:
    """Return a JSON value as errors show it, at most its first 256 bytes."""
    if isinstance(value, float):
        kind = np.float32 if abs(value) <= _MAX_SHOWN_AS_FLOAT else np.float64
        return decimals(np.array([value], kind))[0]
    shown, size = [], 0
    for piece in _pieces(value, 0):
        if piece is None:
            break
        shown.append(piece)
        size += len(piece)
        if size > SHOWN_BYTES:
            break
    text = "".join(shown)
    raw = to_bytes(text)
    if len(raw) <= SHOWN_BYTES:
        return text
    return raw[:SHOWN_BYTES].decode("utf-8", "ignore")


def _pieces(value: Any, level: int) -> Iterator[str | None]:
    """Yield the text of a value in pieces, so that a huge one is not written in full.

    None stands for a NaN or an infinity, where TensorFlow Serving stops writing.
    """
    if isinstance(value, dict):
        for index, (name, member) in enumerate(value.items()):
            yield ("," if index else "{") + indent(level + 1) + quote(name) + ": "
            yield from _pieces(member, level + 1)
        yield indent(level) + "}" if value else "{}"
    elif isinstance(value, list):
        yield "["
        for index, element in enumerate(value):
            if index:
                yield ", "
            yield from _pieces(element, level + 1)
        yield "]"
    elif isinstance(value, float):
        yield shortest(value) if math.isfinite(value) else None
    elif isinstance(value, str):
        yield quote(value)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    else:
        yield "null" if value is None else str(value)
