"""SIGTERM and Ctrl-C: while starting they end the process, while serving they drain."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


class Signals:
    """Handles both signals inside a ``with`` block; for the main thread only.

    A second signal, or one before ``wait``, ends the process at once.
    """

    def __init__(self) -> None:
        self._waiting = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._handle)
        # A signal may be delivered to any thread. Python's handler runs in this one,
        # which would sleep on; so the number is also written to a pipe, at once.
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        self._previous_pipe = signal.set_wakeup_fd(self._tell)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._previous_pipe)
        os.close(self._told)
        os.close(self._tell)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._waiting:
            end_process(128 + number)
        self._waiting = False

    def wait(self) -> str:
        """Block until the first signal comes.

        Returns:
            Its name.
        """
        self._waiting = True
        while (number := os.read(self._told, 1)[0]) not in self._previous:
            pass  # one that others handle
        return signal.Signals(number).name


def end_process(code: int) -> NoReturn:
    """End without waiting for threads that may never return."""
    try:
        # Fails when the signal came in the middle of writing to the same stream.
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
