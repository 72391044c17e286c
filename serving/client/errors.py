"""The client's exceptions; each message is one sentence for the user."""

from __future__ import annotations


class ClientError(Exception):
    """Base class of the client's errors: a call that gave no usable response.

    Attributes:
        code: Name of the gRPC status code ("NOT_FOUND", ...), or None if the error
            arose in the client, before or after the call.
        details: The status message of the server or of gRPC, "" if there is none.
        mismatch: Whether the request contradicts the model's metadata: other values
            of the same types and shapes would be rejected too.
        item: Name of the image or example that the error is about, which the message
            contains: its path, or its position such as "images[3]". None if the error
            is about the whole call.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: str = "",
        mismatch: bool = False,
        item: str | None = None,
    ):
        super().__init__(message)
        self.code = code
        self.details = details
        self.mismatch = mismatch
        self.item = item


class ServerUnavailable(ClientError):
    """No server can be reached at the address, or it accepts no calls now.

    The status is UNAVAILABLE; RESOURCE_EXHAUSTED if the server is overloaded;
    CANCELLED if it was stopped.
    """


class DeadlineExceeded(ClientError):
    """The response did not arrive within the timeout (DEADLINE_EXCEEDED)."""


class ModelNotFound(ClientError):
    """The server has no such model, or no such version or label that is ready."""


class InvalidRequest(ClientError):
    """The model rejects the request: its signature, inputs, types, shapes or size."""


class BadImage(ClientError, ValueError):
    """A file, bytes or an array that cannot be sent as an image."""
