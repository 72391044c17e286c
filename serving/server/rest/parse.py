"""JSON text to Python values, fast where it is good and exact where it is not.

orjson reads what almost every client sends. What it refuses (NaN, text after the first
value, a mistake) goes to the exact reader, which accepts all that the original accepts
and words every refusal as the original does. Numbers come out alike from both: an
``int`` where the text is an integer that fits 64 bits, else a ``float``.
"""

from __future__ import annotations

from typing import Any

import orjson

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.rest import reader
from fovea.serving.server.rest.pretty import value_text


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object that a request's body holds.

    Args:
        body: The bytes that the client sent. What follows the first value is ignored.

    Raises:
        ServingError: No JSON, or no object.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            document = reader.read(body)
        except reader.JSONError as error:
            raise invalid_argument(
                f"JSON Parse error: {error.reason} at offset: {error.offset}"
            ) from None
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {value_text(document)} Is not object")
    return document


def may_hold_booleans(body: bytes) -> bool:
    """Whether ``true`` or ``false`` occurs anywhere in the text."""
    # A single byte is searched for much faster than a word, and is mostly missing.
    return (b"u" in body and b"true" in body) or (b"f" in body and b"false" in body)
