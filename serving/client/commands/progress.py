"""How far a long command has come, on a terminal that shows nothing else."""

from __future__ import annotations

import sys
import time

# A command that ends sooner needs no line about its progress.
_FIRST_SECONDS = 1.0
_PAUSE_SECONDS = 0.2


class Progress:
    """One line on stderr that is written over as things are done.

    Silent unless stderr is a terminal and stdout, whose rows would tell as much, is
    not. A context manager; the line is gone when it ends.

    Args:
        things: what is counted, such as "images".
    """

    def __init__(self, things: str) -> None:
        self._things = things
        self._shown = sys.stderr.isatty() and not sys.stdout.isatty()
        self._done = 0
        self._began = time.monotonic()
        self._next = self._began + _FIRST_SECONDS
        self._written = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.clear()

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if not self._shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + _PAUSE_SECONDS
        rate = self._done / (now - self._began)
        line = f"{self._done:,} {self._things}, {rate:,.0f} a second"
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        self._written = True

    def clear(self) -> None:
        """Make room for other words on stderr."""
        if self._written:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._written = False
