"""Which requests are let run when more come than can be answered.

In overload a queue holds requests whose clients are about to give up. To run them in
their order would spend the machine on answers that come too late, and the next ones
would be late as well: nobody would be answered in time. So a request may wait for half
of its time and has the other half to run; one that waited longer is refused. Without
overload nothing waits for so long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc

from fovea.serving.server.errors import ServingError

# Shorter waits are not overload: threads are not woken at once.
TOLERANCE_SECONDS = 0.05

# Deadlines further off than this are none.
_FOREVER = 10**7

_thread = threading.local()


class Pool(ThreadPoolExecutor):
    """Threads that know how long the call that they run has waited for them."""

    def submit(
        self, call: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Run a call, in the order in which they come."""
        return super().submit(_timed, time.monotonic(), call, args, kwargs)


def _timed(
    arrived: float, call: Callable[..., Any], args: Any, kwargs: dict[str, Any]
) -> Any:
    _thread.arrived = arrived
    return call(*args, **kwargs)


def check_wait(left: float) -> None:
    """Refuse what this thread runs when too little of its time is left.

    Args:
        left: Seconds until the client gives up.

    Raises:
        ServingError: RESOURCE_EXHAUSTED.
    """
    waited = time.monotonic() - getattr(_thread, "arrived", float("inf"))
    if waited > max(left, TOLERANCE_SECONDS):
        raise overloaded()


def time_left(context: grpc.ServicerContext) -> float | None:
    """Seconds until the client's deadline, None without one.

    Raises:
        ServingError: It has passed, or will have: what nobody waits for is not run.
    """
    left = context.time_remaining()
    if left is None or left > _FOREVER:
        return None
    if left <= 0:
        raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    check_wait(left)
    return left


def overloaded() -> ServingError:
    """The error of a request that is refused to answer others in time."""
    return ServingError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "The server is overloaded: the request waited too long to be run in time",
    )


class Gate:
    """Lets a few runs of a graph go at the same time; more only slow each other down.

    Args:
        width: How many.
    """

    def __init__(self, width: int) -> None:
        self._free = threading.Semaphore(width)

    def enter(self, timeout: float | None) -> float | None:
        """Wait for a turn, at most half of the time that there is.

        Args:
            timeout: Seconds until the client gives up, None for never.

        Returns:
            How much of them is left.

        Raises:
            ServingError: RESOURCE_EXHAUSTED when no turn came in time.
        """
        if self._free.acquire(blocking=False):
            return timeout
        if timeout is None:
            self._free.acquire()
            return None
        began = time.monotonic()
        if not self._free.acquire(timeout=timeout / 2):
            raise overloaded()
        return timeout - (time.monotonic() - began)

    def leave(self) -> None:
        """Let the next one go."""
        self._free.release()
