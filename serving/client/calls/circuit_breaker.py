"""Tells a stream of requests to stop asking a server that has gone."""

import time

from fovea.serving.client.errors import ClientError

# While a server is down, one look this often tells whether it is back.
SECONDS_BETWEEN_LOOKS = 1.0


class Outage:
    """Counts the requests in a row that got no answer.

    Each of them has cost its retries, or its whole deadline. Without this, thousands
    of images would cost that again, request by request.

    Args:
        patience: requests in a row without an answer that mean an outage.
    """

    def __init__(self, patience: int):
        self._patience = patience
        self._silent = 0
        self._since = 0.0
        self._last: ClientError | None = None

    def answered(self) -> None:
        """The server has said something."""
        self._silent = 0

    def lost(self, error: ClientError) -> None:
        """A request got no answer."""
        self._silent += 1
        self._since = time.monotonic()
        self._last = error

    @property
    def error(self) -> ClientError | None:
        """What to say of an image instead of asking now; None: ask."""
        if self._silent < self._patience:
            return None
        if time.monotonic() - self._since > SECONDS_BETWEEN_LOOKS:
            return None
        return self._last
