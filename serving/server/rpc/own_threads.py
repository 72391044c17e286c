"""A thread pool of its own for a method that would block the other methods."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_own_threads(
    method: Callable[..., Any], count: int, name: str
) -> Callable[..., Any]:
    """Run a method of a gRPC service in other threads than the other methods.

    Args:
        method: The bound method.
        count: How many calls of it run at the same time.
        name: The prefix of the threads' names.

    Returns:
        The method to register with the gRPC server instead.
    """

    def call(*arguments: Any) -> Any:
        return method(*arguments)

    # gRPC reads the pool of a method from here, which its stubs do not declare.
    call.experimental_thread_pool = (  # type: ignore[attr-defined]
        ThreadPoolExecutor(count, name)
    )
    return call
