"""JSON text as TensorFlow Serving writes it, including white space."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from fovea.serving.server.rest.encoding.grisu import double_text

# After so many bytes of a value an error shows no further tokens of it.
SHOWN_BYTES = 256

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
    """Return a JSON value as errors show it.

    The first token that reaches beyond `SHOWN_BYTES` is the last one, and is written in
    full. At a NaN or an infinity the text ends too: rapidjson cannot write them.
    """
    shown, size = [], 0
    for token in _tokens(value, 0, ""):
        if token is None:
            break
        shown.append(token)
        size += len(to_bytes(token))
        if size > SHOWN_BYTES:
            break
    return "".join(shown)


def _tokens(value: Any, level: int, before: str) -> Iterator[str | None]:
    """Yield the tokens of a value, so that a huge one is not written in full.

    Args:
        value: The value.
        level: The number of objects and arrays around it.
        before: What separates its first token from the token before it.

    Yields:
        Texts; None for a NaN or an infinity.
    """
    if isinstance(value, dict):
        yield before + "{"
        for index, (name, member) in enumerate(value.items()):
            yield ("," if index else "") + indent(level + 1) + quote(name)
            yield from _tokens(member, level + 1, ": ")
        yield (indent(level) if value else "") + "}"
    elif isinstance(value, list):
        yield before + "["
        for index, element in enumerate(value):
            yield from _tokens(element, level + 1, ", " if index else "")
        yield "]"
    elif isinstance(value, float) and not math.isfinite(value):
        yield before
        yield None
    else:
        yield before + _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
