"""A function that a thread calls at regular intervals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Periodic:
    """Calls a function at regular intervals, even after it has raised.

    Args:
        name: The name of the task, for the log.
        function: The function.
        seconds: The pause between two calls.
    """

    def __init__(self, name: str, function: Callable[[], None], seconds: float) -> None:
        self._name, self._function, self._seconds = name, function, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._function()
            except Exception:  # a dead thread would leave old models in service
                log.exception("%s failed", self._name)

    def stop(self) -> None:
        """Stop calling, and wait for a running call."""
        self._stop.set()
        self._thread.join()
