"""What can go wrong between a question and its answer, each as one clear sentence."""


class ClientError(Exception):
    """Base of the client's errors: a question that got no usable answer.

    Attributes:
        code: name of the gRPC status code ("NOT_FOUND", ...), or None if the
            error arose here, before or after the call.
        details: the server's or gRPC's own words, "" if there are none.
        mismatch: whether the request contradicts what the model says of itself: no
            other values of this type and shape would be answered.
    """

    def __init__(
        self,
        sentence: str,
        *,
        code: str | None = None,
        details: str = "",
        mismatch: bool = False,
    ):
        super().__init__(sentence)
        self.code = code
        self.details = details
        self.mismatch = mismatch


class ServerUnavailable(ClientError):
    """No server answers at the address, or it cannot answer now.

    UNAVAILABLE; RESOURCE_EXHAUSTED if it has too much to do; CANCELLED if it stopped.
    """


class DeadlineExceeded(ClientError):
    """The answer did not come within the time-out (DEADLINE_EXCEEDED)."""


class ModelNotFound(ClientError):
    """The server has no such model, version or label that is ready."""


class InvalidRequest(ClientError):
    """The model cannot answer this question: signature, inputs, type, shape or size."""


class BadImage(ClientError, ValueError):
    """A file, bytes or an array that cannot be sent as an image."""
