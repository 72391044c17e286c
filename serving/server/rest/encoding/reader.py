"""The exact JSON reader: it accepts what rapidjson accepts, and raises its errors.

It reads as TensorFlow Serving configures rapidjson: without recursion, with NaN and
Infinity, and no further than the end of the first value. Strings of the result may
hold bytes that are not UTF-8 as lone surrogates (`surrogateescape`).
"""

from __future__ import annotations

import enum
import math
import re
from typing import Any

_BYTE_ORDER_MARK = re.compile(b"\xef?\xbb?\xbf?")
_SPACE = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_INTEGER = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_DIGITS = re.compile(rb"[0-9]*")
_SIGN = re.compile(rb"[+-]?")
_HEX4 = re.compile(rb"[0-9A-Fa-f]{4}")

_ESCAPES = {
    b'"': b'"',
    b"\\": b"\\",
    b"/": b"/",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
}
_LITERALS: dict[bytes, tuple[bytes, Any]] = {
    b"n": (b"null", None),
    b"t": (b"true", True),
    b"f": (b"false", False),
}

MAX_UINT64 = 2**64 - 1
MIN_INT64 = -(2**63)
MAX_EXPONENT = 308  # of a double
MAX_DIGITS = 309


class _After(enum.Enum):
    """The token that was read last."""

    NOTHING = enum.auto()
    OPEN_OBJECT = enum.auto()
    NAME = enum.auto()
    COLON = enum.auto()
    MEMBER = enum.auto()
    COMMA_IN_OBJECT = enum.auto()
    OPEN_ARRAY = enum.auto()
    ELEMENT = enum.auto()
    COMMA_IN_ARRAY = enum.auto()


_INVALID = "Invalid value."
_REASONS = {
    _After.NOTHING: "The document is empty.",
    _After.OPEN_OBJECT: "Missing a name for object member.",
    _After.NAME: "Missing a colon after a name of object member.",
    _After.COLON: _INVALID,
    _After.MEMBER: "Missing a comma or '}' after an object member.",
    _After.COMMA_IN_OBJECT: "Missing a name for object member.",
    _After.OPEN_ARRAY: _INVALID,
    _After.ELEMENT: "Missing a comma or ']' after an array element.",
    _After.COMMA_IN_ARRAY: _INVALID,
}
_VALUE_MAY_FOLLOW = {
    _After.NOTHING,
    _After.COLON,
    _After.OPEN_ARRAY,
    _After.COMMA_IN_ARRAY,
}
_NAME_MAY_FOLLOW = {_After.OPEN_OBJECT, _After.COMMA_IN_OBJECT}
# The next state by state and byte; closing brackets are below.
_PUNCTUATION = {
    (_After.NAME, b":"): _After.COLON,
    (_After.MEMBER, b","): _After.COMMA_IN_OBJECT,
    (_After.ELEMENT, b","): _After.COMMA_IN_ARRAY,
}
_ENDS = {
    (_After.OPEN_OBJECT, b"}"),
    (_After.MEMBER, b"}"),
    (_After.OPEN_ARRAY, b"]"),
    (_After.ELEMENT, b"]"),
}


class JSONError(Exception):
    """The text is not JSON.

    Args:
        reason: The error text of rapidjson.
        offset: The position of the wrong byte.
    """

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason, offset)
        self.reason = reason
        self.offset = offset


def read(text: bytes) -> Any:
    """Read the first value of a text.

    Args:
        text: JSON; a NUL byte ends it.

    Returns:
        The value. Of members with the same name, it has the last one.

    Raises:
        JSONError: There is no complete value.
    """
    text = text.partition(b"\0")[0]
    at = _end(_BYTE_ORDER_MARK, text, 0)
    state = _After.NOTHING
    name = ""
    opened: list[tuple[Any, str]] = []  # containers and their names in the outer one
    while True:
        at = _end(_SPACE, text, at)
        token = text[at : at + 1]
        value: Any
        if state in _VALUE_MAY_FOLLOW and token not in b"]},:":  # has the empty token
            if token == b"[" or token == b"{":
                opened.append(([] if token == b"[" else {}, name))
                state = _After.OPEN_ARRAY if token == b"[" else _After.OPEN_OBJECT
                at += 1
                continue
            value, at = _scalar(text, at)
        elif state in _NAME_MAY_FOLLOW and token == b'"':
            name, at = _string(text, at)
            state = _After.NAME
            continue
        elif (state, token) in _PUNCTUATION:
            state = _PUNCTUATION[state, token]
            at += 1
            continue
        elif (state, token) in _ENDS:
            value, name = opened.pop()
            at += 1
        else:
            raise JSONError(_REASONS[state], at)
        if not opened:
            return value
        container = opened[-1][0]
        if isinstance(container, list):
            container.append(value)
            state = _After.ELEMENT
        else:
            container[name] = value
            state = _After.MEMBER


def _end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _scalar(text: bytes, at: int) -> tuple[Any, int]:
    token = text[at : at + 1]
    if token == b'"':
        return _string(text, at)
    if token in _LITERALS:
        word, value = _LITERALS[token]
        return value, _word(text, at, word)
    return _number(text, at)


def _word(text: bytes, at: int, word: bytes) -> int:
    for byte in word:
        if text[at : at + 1] != bytes([byte]):
            raise JSONError(_INVALID, at)
        at += 1
    return at


def _string(text: bytes, at: int) -> tuple[str, int]:
    parts = []
    at += 1
    while True:
        end = _end(_PLAIN, text, at)
        parts.append(text[at:end])
        at = end
        token = text[at : at + 1]
        if token == b'"':
            return b"".join(parts).decode("utf-8", "surrogateescape"), at + 1
        if not token:
            raise JSONError("Missing a closing quotation mark in string.", at)
        escape = text[at + 1 : at + 2] if token == b"\\" else b""
        if escape == b"u":
            part, at = _unicode(text, at)
            parts.append(part)
        elif escape in _ESCAPES:
            parts.append(_ESCAPES[escape])
            at += 2
        else:
            raise JSONError("Invalid escape character in string.", at)


def _unicode(text: bytes, start: int) -> tuple[bytes, int]:
    r"""Read `\uXXXX`, or two of them that encode one character."""

    def hex4(at: int) -> int:
        if not _HEX4.match(text, at):
            reason = "Incorrect hex digit after \\u escape in string."
            raise JSONError(reason, start)
        return int(text[at : at + 4], 16)

    code, at = hex4(start + 2), start + 6
    if 0xD800 <= code < 0xDC00:
        wrong = JSONError("The surrogate pair in string is invalid.", start)
        if text[at : at + 2] != b"\\u":
            raise wrong
        low, at = hex4(at + 2), at + 6
        if not 0xDC00 <= low < 0xE000:
            raise wrong
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
    return chr(code).encode("utf-8", "surrogatepass"), at


def _number(text: bytes, start: int) -> tuple[int | float, int]:
    integer = _end(_INTEGER, text, start)
    if integer == start:
        return _not_finite(text, start)
    at, fraction = integer, 0
    if text[at : at + 1] == b".":
        end = _end(_DIGITS, text, at + 1)
        fraction = end - (at + 1)
        if fraction == 0:
            raise JSONError("Miss fraction part in number.", end)
        at = end
    exponent = 0
    if text[at : at + 1] in (b"e", b"E"):
        sign = _end(_SIGN, text, at + 1)
        end = _end(_DIGITS, text, sign)
        if end == sign:
            raise JSONError("Miss exponent in number.", end)
        digits = text[sign:end].lstrip(b"0")[:MAX_DIGITS]
        exponent = int(digits or b"0")
        if text[at + 1 : at + 2] == b"-":
            exponent = -exponent
        at = end
    if exponent > MAX_EXPONENT + fraction:
        raise JSONError("Number too big to be stored in double.", start)
    if at == integer and at - start < 21:  # 64 bits have at most 20 digits
        whole = int(text[start:at])
        if MIN_INT64 <= whole <= MAX_UINT64:
            return whole, at
    number = float(text[start:at])
    if math.isinf(number):
        raise JSONError("Number too big to be stored in double.", start)
    return number, at


def _not_finite(text: bytes, start: int) -> tuple[float, int]:
    minus = text[start : start + 1] == b"-"
    at = start + minus
    token = text[at : at + 1]
    if token == b"N":
        return math.nan, _word(text, at, b"NaN")
    if token != b"I":
        raise JSONError(_INVALID, at)
    at = _word(text, at, b"Inf")
    if text[at : at + 1] == b"i":
        at = _word(text, at, b"inity")
    return -math.inf if minus else math.inf, at
