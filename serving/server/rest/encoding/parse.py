"""JSON text to Python values: fast for valid JSON, with exact errors for the rest.

orjson reads what almost every client sends. What it refuses (NaN, text after the first
value, a mistake) goes to the exact reader, which accepts all that TensorFlow Serving
accepts and words every error as it does. Both return the same numbers: an `int` where
the text is an integer of at most 64 bits, else a `float`.
"""

from __future__ import annotations

from typing import Any

import orjson

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.rest.encoding import reader
from fovea.serving.server.rest.encoding.pretty import value_text


def parse(body: bytes) -> dict[str, Any]:
    """Parse the JSON object in the body of a request.

    Args:
        body: The bytes that the client sent. What follows the first value is ignored.

    Raises:
        ServingError: INVALID_ARGUMENT, not JSON or not an object.
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
    """Return whether `true` or `false` occurs anywhere in the text."""
    # Searching for a byte is much faster than for a word, and mostly finds none.
    return (b"u" in body and b"true" in body) or (b"f" in body and b"false" in body)
