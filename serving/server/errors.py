"""The one kind of error that crosses the rooms of the server: a code and a text."""

from __future__ import annotations

import grpc

# TF Serving cuts longer texts, since gRPC carries them in a header.
MESSAGE_LIMIT = 1024

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """A failure with a canonical status code, worded for the client or the operator.

    Args:
        code: The canonical status code.
        message: The text, as TF Serving words it where it has the case.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    @property
    def number(self) -> int:
        """The code as protobufs carry it (``INVALID_ARGUMENT`` is 3)."""
        return self.code.value[0]

    @property
    def details(self) -> str:
        """The text as it goes over the wire: at most 1024 bytes of it."""
        raw = self.message.encode()
        if len(raw) <= MESSAGE_LIMIT:
            return self.message
        return raw[:MESSAGE_LIMIT].decode(errors="ignore") + "...TRUNCATED"


def invalid_argument(message: str) -> ServingError:
    """The most frequent error of all."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def code_of(number: int) -> grpc.StatusCode:
    """The status code of a canonical number, UNKNOWN for a number that is none."""
    return _CODES.get(number, grpc.StatusCode.UNKNOWN)
