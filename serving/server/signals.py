"""SIGTERM and Ctrl-C: while starting they end the process, while serving they drain."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
from types import FrameType
from typing import NoReturn


class Signals:
    """Handles both signals inside a ``with`` block; for the main thread only.

    A second signal, or one before ``wait``, ends the process at once.
    """

    def __init__(self) -> None:
        # A SimpleQueue, since its put may interrupt a get of the same thread.
        self._received: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._waiting = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._waiting:
            end_process(128 + number)
        self._waiting = False
        self._received.put(signal.Signals(number).name)

    def wait(self) -> str:
        """Block until the first signal comes.

        Returns:
            Its name.
        """
        self._waiting = True
        while True:
            # Not for ever: a signal that comes right before the thread goes to sleep
            # does not wake it.
            with contextlib.suppress(queue.Empty):
                return self._received.get(timeout=1)


def end_process(code: int) -> NoReturn:
    """End without waiting for threads that may never return."""
    try:
        # Fails when the signal came in the middle of writing to the same stream.
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
