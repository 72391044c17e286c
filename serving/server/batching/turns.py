"""Who writes the answers of a batch is not disturbed while it does.

To send an answer lets go of the interpreter's lock for a moment. In that moment the
thread that looks after the connections would take it, for one event, and hand it back:
two thread switches for each answer, which cost more than to write it. So that thread
waits here until all answers of the batch are sent.
"""

from __future__ import annotations

import threading

writing = threading.Lock()  # held while the answers of a batch are written


def wait_turn() -> None:
    """Return when no answers are being written."""
    with writing:
        pass
