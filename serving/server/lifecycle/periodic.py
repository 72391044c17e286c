"""Do something again and again in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Periodic:
    """Calls a function every so many seconds, whatever it raises.

    Args:
        name: What it does, for the log.
        act: The function.
        seconds: The pause between two calls.
    """

    def __init__(self, name: str, act: Callable[[], None], seconds: float) -> None:
        self._name, self._act, self._seconds = name, act, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._act()
            except Exception:  # one that died in silence would serve old models
                log.exception("%s failed", self._name)

    def stop(self) -> None:
        """Call no more, and wait for a call that is under way."""
        self._stop.set()
        self._thread.join()
