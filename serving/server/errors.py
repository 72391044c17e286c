"""The error that all packages of the server raise: a status code and a text."""

from __future__ import annotations

import grpc

# TensorFlow Serving truncates longer texts, since gRPC sends them in a header.
MESSAGE_LIMIT = 1024

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """A failure with a canonical status code and a text for the client or operator.

    Args:
        code: The canonical status code.
        message: The text: TensorFlow Serving's, if it reports the same failure.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    @property
    def number(self) -> int:
        """The code as a number, as in protobufs (`INVALID_ARGUMENT` is 3)."""
        return self.code.value[0]

    @property
    def details(self) -> str:
        """The text for the wire: at most 1024 bytes of it."""
        raw = self.message.encode()
        if len(raw) <= MESSAGE_LIMIT:
            return self.message
        return raw[:MESSAGE_LIMIT].decode(errors="ignore") + "...TRUNCATED"


def invalid_argument(message: str) -> ServingError:
    """Return an error with the code INVALID_ARGUMENT."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def code_of(number: int) -> grpc.StatusCode:
    """Return the status code of a canonical number, UNKNOWN for any other number."""
    return _CODES.get(number, grpc.StatusCode.UNKNOWN)
