"""Admission: which requests run when more arrive than the machine can serve.

In overload a queue holds requests whose deadlines are about to pass. Running them in
order would spend the machine on responses that arrive too late, and all later requests
would be late as well. So a request may wait for half of its time, and has the other
half to run; one that has waited longer is refused. Without overload no request waits
that long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc

from fovea.serving.server.errors import ServingError

# Shorter waits are not overload: waking a thread takes time.
TOLERANCE_SECONDS = 0.05

# Deadlines that are more seconds away than this count as no deadline.
_FOREVER = 10**7

_thread = threading.local()


class Pool(ThreadPoolExecutor):
    """A thread pool whose threads know how long their call was in the queue."""

    def submit(
        self, call: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Queue a call, first in, first out."""
        return super().submit(_timed, time.monotonic(), call, args, kwargs)


def _timed(
    arrived: float, call: Callable[..., Any], args: Any, kwargs: dict[str, Any]
) -> Any:
    _thread.arrived = arrived
    return call(*args, **kwargs)


def check_wait(left: float) -> None:
    """Refuse the call of this thread if it was in the queue for too long.

    Args:
        left: Seconds until the client's deadline.

    Raises:
        ServingError: RESOURCE_EXHAUSTED if the call has waited for longer than that.
    """
    waited = time.monotonic() - getattr(_thread, "arrived", float("inf"))
    if waited > max(left, TOLERANCE_SECONDS):
        raise overloaded()


def time_left(context: grpc.ServicerContext) -> float | None:
    """Return the seconds until the client's deadline, None without one.

    Raises:
        ServingError: DEADLINE_EXCEEDED if the deadline has passed; RESOURCE_EXHAUSTED
            if the call was in the queue for too long.
    """
    left = context.time_remaining()
    if left is None or left > _FOREVER:
        return None
    if left <= 0:
        raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    check_wait(left)
    return left


def overloaded() -> ServingError:
    """Return the error of a request that is refused because of overload."""
    return ServingError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "The server is overloaded: the request waited too long to be run in time",
    )


class Gate:
    """Limits the concurrent runs of a graph, since more only slow each other down.

    Args:
        width: How many runs may go on at the same time.
    """

    def __init__(self, width: int) -> None:
        self._free = threading.Semaphore(width)

    def enter(self, timeout: float | None) -> float | None:
        """Wait until a run may start, for at most half of the time that is left.

        Args:
            timeout: Seconds until the client's deadline, None without one.

        Returns:
            The seconds that are left after the wait.

        Raises:
            ServingError: RESOURCE_EXHAUSTED if no run ended in time.
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
        """Let the next run start."""
        self._free.release()
