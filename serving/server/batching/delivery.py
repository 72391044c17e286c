"""The lock that keeps gRPC's polling thread out while a batch's results are sent.

Sending a response releases the interpreter's lock for a moment. In that moment the
thread that polls the connections would take it for one event and hand it back: two
thread switches per response, which cost more than writing it. So that thread waits here
until all responses of the batch are sent.
"""

from __future__ import annotations

import threading

delivering = threading.Lock()  # held while the results of a batch are delivered


def wait_for_delivery() -> None:
    """Wait until no batch's results are being delivered."""
    with delivering:
        pass
