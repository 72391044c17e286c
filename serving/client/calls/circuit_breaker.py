"""Stop a stream of requests while the server is unavailable."""

import time

from fovea.serving.client.errors import ClientError

# While the breaker is open, one request per period probes whether the server is back.
PROBE_SECONDS = 1.0


class CircuitBreaker:
    """Opens after consecutive requests without a response from the server.

    Each such request costs its retries or its whole timeout. Without a breaker,
    thousands of images would cost that again, request by request.

    Args:
        threshold: Consecutive failures that open the breaker.
    """

    def __init__(self, threshold: int):
        self._threshold = threshold
        self._failures = 0
        self._last_failure = 0.0
        self._error: ClientError | None = None

    def record_response(self) -> None:
        """Note that the server has responded, which closes the breaker."""
        self._failures = 0

    def record_failure(self, error: ClientError) -> None:
        """Note that a request had no response."""
        self._failures += 1
        self._last_failure = time.monotonic()
        self._error = error

    @property
    def error(self) -> ClientError | None:
        """The error to report instead of sending a request; None to send it."""
        if self._failures < self._threshold:
            return None
        if time.monotonic() - self._last_failure > PROBE_SECONDS:
            return None
        return self._error
