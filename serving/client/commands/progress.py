"""A progress line for commands that run for long without output on the terminal."""

from __future__ import annotations

import sys
import time

# A command that ends sooner shows no progress.
_FIRST_SECONDS = 1.0
_UPDATE_SECONDS = 0.2


class Progress:
    """A line on stderr with the number of items done, which is overwritten in place.

    It is shown only if stderr is a terminal and stdout is not: rows on the terminal
    show progress themselves. A context manager that clears the line on exit.

    Args:
        unit: What is counted, such as "images".
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._enabled = sys.stderr.isatty() and not sys.stdout.isatty()
        self._done = 0
        self._started = time.monotonic()
        self._next_update = self._started + _FIRST_SECONDS
        self._visible = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.clear()

    def step(self) -> None:
        """Count one more item."""
        self._done += 1
        if not self._enabled or (now := time.monotonic()) < self._next_update:
            return
        self._next_update = now + _UPDATE_SECONDS
        rate = self._done / (now - self._started)
        line = f"{self._done:,} {self._unit}, {rate:,.0f} per second"
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        self._visible = True

    def clear(self) -> None:
        """Clear the line, so that other text can be printed to stderr."""
        if self._visible:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._visible = False
