"""A task: one run that waits, and the batch in which it waits."""

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
    """One requested run of the graph.

    Attributes:
        feeds: Arrays by the names of the tensors that they replace.
        fetches: The names of the tensors to compute.
        rows: The 0th dimension of every array.
        enqueued: When it was submitted, by the monotonic clock.
        deadline: When it expires, by the monotonic clock; None for never.
        future: Gets the values in the order of `fetches`, or the error.
    """

    feeds: Feeds
    fetches: Sequence[str]
    rows: int
    enqueued: float
    deadline: float | None = None
    future: Future[list[Any]] = field(default_factory=Future)

    def is_wanted(self, now: float) -> bool:
        """Return whether it is neither expired nor cancelled."""
        in_time = self.deadline is None or now < self.deadline
        return in_time and not self.future.cancelled()


@dataclass(slots=True, eq=False)
class Batch:
    """Tasks that will run together.

    Attributes:
        tasks: The tasks in the order of their submission.
        rows: The sum of their rows.
        due: When the first one has waited for the batch timeout, by the monotonic
            clock; undefined while there is none.
    """

    tasks: list[Task] = field(default_factory=list)
    rows: int = 0
    due: float = 0.0


def split(task: Task, first: int, size: int) -> list[Task]:
    """Split a task into parts, whose results are joined to its own.

    Args:
        task: A task with too many rows for one batch.
        first: The rows of the first part; 0 if all parts have `size` rows.
        size: The rows of each other part; the last has the rest.
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
    lock, pending = threading.Lock(), len(parts)

    def done(part: Future[list[Any]]) -> None:
        nonlocal pending
        with lock:
            pending -= 1
            last = pending == 0
        if last and whole.set_running_or_notify_cancel():
            settle(whole, lambda: _concatenated([part.result() for part in parts]))

    for part in parts:
        part.add_done_callback(done)


def _concatenated(parts: list[list[Any]]) -> list[Any]:
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def settle(future: Future[list[Any]], compute: Callable[[], list[Any]]) -> None:
    """Set the result of a future, or the error that computing it raises."""
    try:
        future.set_result(compute())
    except Exception as error:
        fail(future, error)


def fail(future: Future[list[Any]], error: Exception) -> None:
    """Set the error of a future.

    A ServingError loses its traceback, whose frames would keep the future and all
    arrays of its batch in memory, in a cycle.
    """
    if isinstance(error, ServingError):
        error.__traceback__ = error.__context__ = None
    future.set_exception(error)
