"""Bytes in JSON: `{"b64": "..."}`."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from typing import Any

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.rest.encoding.pretty import value_text

KEY = "b64"
_SPACE = re.compile(r"[ \t\n\v\f\r]+")


def is_base64(value: Any) -> bool:
    """Return whether a JSON value is an object with only this key, and a string."""
    return (
        isinstance(value, dict) and len(value) == 1 and isinstance(value.get(KEY), str)
    )


def decode(value: Any) -> bytes:
    """Decode such an object.

    As in TensorFlow Serving, white space is allowed anywhere and padding is optional.

    Raises:
        ServingError: INVALID_ARGUMENT, another object or invalid base64.
    """
    if not is_base64(value):
        raise invalid_argument(
            f"JSON Value: {value_text(value)} not formatted correctly for base64 data"
        )
    text = value[KEY]
    if len(text) % 4 == 0:  # Python 3.10 takes too much padding
        with contextlib.suppress(binascii.Error, ValueError):
            return base64.b64decode(text, validate=True)
    bare = _SPACE.sub("", text)
    digits = bare.rstrip("=.")
    missing = -len(digits) % 4
    if len(bare) - len(digits) not in (0, missing):
        missing = 3  # wrong padding; no valid text lacks 3 characters
    try:
        if missing == 3:
            raise ValueError
        return base64.b64decode(digits + "=" * missing, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_argument("Unable to base64 decode") from None
