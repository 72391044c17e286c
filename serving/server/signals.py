"""SIGTERM and Ctrl-C: they end a process that starts, and drain one that serves."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


class Signals:
    """Handles both signals inside a `with` block; for the main thread only.

    A second signal, or one before `wait`, ends the process at once.
    """

    def __init__(self) -> None:
        self._waiting = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._handle)
        # The system may deliver a signal to any thread, but Python runs the handler in
        # the main thread, which may be blocked. So Python also writes the number to a
        # pipe, which `wait` reads.
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._previous_pipe = signal.set_wakeup_fd(self._writer)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._previous_pipe)
        os.close(self._reader)
        os.close(self._writer)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._waiting:
            end_process(128 + number)
        self._waiting = False

    def wait(self) -> str:
        """Block until the first signal arrives.

        Returns:
            The name of the signal.
        """
        self._waiting = True
        while (number := os.read(self._reader, 1)[0]) not in self._previous:
            pass  # a signal with another handler
        return signal.Signals(number).name


def end_process(code: int) -> NoReturn:
    """Exit without waiting for threads that may never end."""
    try:
        # Fails if the signal interrupted a write to the same stream.
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
