"""Threads of its own for a method that would keep those of the others waiting."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_own_threads(
    method: Callable[..., Any], count: int, name: str
) -> Callable[..., Any]:
    """Let a method of a gRPC service run in other threads than the rest.

    Args:
        method: The bound method.
        count: How many calls of it run at the same time.
        name: What the threads are called.

    Returns:
        What to register with the gRPC server in place of the method.
    """

    def call(*arguments: Any) -> Any:
        return method(*arguments)

    # gRPC looks for the pool of a method here, and its stubs do not know that.
    call.experimental_thread_pool = (  # type: ignore[attr-defined]
        ThreadPoolExecutor(count, name)
    )
    return call
