"""A request's run while it waits, and the batch that it waits in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fovea.serving.server.errors import ServingError

Feeds = Mapping[str, np.ndarray]


@dataclass(slots=True, eq=False)
class Task:
    """One run of the graph that somebody waits for.

    Attributes:
        feeds: Arrays by the names of the tensors that they replace.
        fetches: The names of the tensors to compute.
        rows: The 0th dimension of every array.
        enqueued: When it came, by the monotonic clock.
        deadline: After which nobody waits for it any more.
        future: Gets the values in the order of ``fetches``, or the error.
    """

    feeds: Feeds
    fetches: Sequence[str]
    rows: int
    enqueued: float
    deadline: float | None = None
    future: Future[list[Any]] = field(default_factory=Future)

    def is_wanted(self, now: float) -> bool:
        """Whether somebody still waits for it."""
        in_time = self.deadline is None or now < self.deadline
        return in_time and not self.future.cancelled()


@dataclass(slots=True, eq=False)
class Batch:
    """Tasks that will run together.

    Attributes:
        tasks: In the order in which they came.
        rows: Of all of them.
        due: When the first has waited long enough; of no meaning while there is none.
    """

    tasks: list[Task] = field(default_factory=list)
    rows: int = 0
    due: float = 0.0


def split(task: Task, first: int, size: int) -> list[Task]:
    """Cut a task into parts, whose answers come together as its own.

    Args:
        task: What is too large.
        first: The rows of the first part, 0 for none of another size.
        size: The rows of each other part; the last has what is left.
    """
    starts = [0] if first else []
    starts += range(first, task.rows, size)
    parts = []
    for start, end in zip(starts, [*starts[1:], task.rows], strict=True):
        feeds = {name: array[start:end] for name, array in task.feeds.items()}
        parts.append(
            Task(feeds, task.fetches, end - start, task.enqueued, task.deadline)
        )
    _join(task.future, [part.future for part in parts])
    return parts


def _join(whole: Future[list[Any]], parts: list[Future[list[Any]]]) -> None:
    lock, left = threading.Lock(), len(parts)

    def done(part: Future[list[Any]]) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last and whole.set_running_or_notify_cancel():
            settle(whole, lambda: _concatenated([part.result() for part in parts]))

    for part in parts:
        part.add_done_callback(done)


def _concatenated(parts: list[list[Any]]) -> list[Any]:
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def settle(future: Future[list[Any]], answer: Callable[[], list[Any]]) -> None:
    """Give a future an answer, or the error that comes in its place."""
    try:
        future.set_result(answer())
    except Exception as error:
        fail(future, error)


def fail(future: Future[list[Any]], error: Exception) -> None:
    """Give a future an error.

    One that is meant for a client is parted from its traceback, whose frames would
    keep the future and all arrays of its batch in memory, in a cycle.
    """
    if isinstance(error, ServingError):
        error.__traceback__ = error.__context__ = None
    future.set_exception(error)
