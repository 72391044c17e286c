"""The batcher of one loaded version: its queues, and how their batches run.

Beyond TensorFlow Serving: a task past its deadline is not run, a task that does not
match the graph's inputs runs by itself, and when a batch fails its halves are run
again, until only the tasks that fail alone are left.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

import grpc

from fovea.serving.server.batching.delivery import delivering
from fovea.serving.server.batching.input_spec import InputSpec
from fovea.serving.server.batching.merge import (
    concatenated,
    grouped,
    split_outputs,
)
from fovea.serving.server.batching.parameters import QueueOptions
from fovea.serving.server.batching.scheduler import Queue, Scheduler
from fovea.serving.server.batching.tasks import Feeds, Task, fail, settle
from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.telemetry import metrics

Run = Callable[[Feeds, Sequence[str], float | None], list[Any]]
_Names = tuple[str, ...]


class Batcher:
    """Batches runs; `run` and `submit` take the arguments of `LoadedModel.run`.

    Args:
        run: Runs the graph.
        inputs: The graph's inputs by the names of their tensors.
        scheduler: Has the threads.
        options: How runs are batched.
    """

    def __init__(
        self,
        run: Run,
        inputs: Mapping[str, InputSpec],
        scheduler: Scheduler,
        options: QueueOptions,
    ) -> None:
        self._run = run
        self._inputs = inputs
        self._scheduler = scheduler
        self._options = options
        self._queues: dict[tuple[_Names, _Names], Queue] = {}
        # For tasks that run by themselves, each a batch: as many may wait as in the
        # batches of a queue.
        capacity = options.max_enqueued_batches * options.max_execution_batch_size
        unbatched = QueueOptions(1, 1, max_enqueued_batches=capacity)
        self._unbatched = Queue(scheduler, unbatched, self._process_unbatched)

    def run(
        self, feeds: Feeds, fetches: Sequence[str], timeout: float | None = None
    ) -> list[Any]:
        """Run the graph in a batch, and wait for the result.

        Raises:
            ServingError: The graph failed, the deadline passed, or the queue is full.
        """
        rows = self._rows(feeds)
        if not self._can_join(feeds, rows):
            return self._run(feeds, fetches, timeout)
        task = _task(feeds, fetches, rows, timeout)
        self._queue(feeds, fetches).run(task)
        try:
            return task.future.result(timeout)
        except FutureTimeoutError:
            if task.future.cancel():
                raise expired() from None
            return task.future.result()  # it runs already, with a timeout of its own
        finally:
            del task  # breaks a cycle: the task has the error, whose frame has the task

    def submit(
        self, feeds: Feeds, fetches: Sequence[str], timeout: float | None = None
    ) -> Future[list[Any]]:
        """Run the graph in a batch, without waiting for the result.

        Returns:
            A future of the values, or of the error that `run` raises. A task that is
            cancelled in time is not run.
        """
        task = _task(feeds, fetches, 1, timeout)
        try:
            rows = self._rows(feeds)
            if self._can_join(feeds, rows):
                task.rows = rows
                self._queue(feeds, fetches).submit(task)
            else:
                self._unbatched.submit(task)
        except ServingError as error:
            fail(task.future, error)
        return task.future

    def close(self) -> None:
        """Wait until every task is done; none may be submitted meanwhile."""
        for queue in [self._unbatched, *self._queues.values()]:
            queue.close()

    def _rows(self, feeds: Feeds) -> int:
        """Check the arrays of a task; return their common 0th dimension.

        Raises:
            ServingError: INVALID_ARGUMENT.
        """
        if not feeds:
            raise invalid_argument("Batching Run() must have at least one input tensor")
        rows = -1
        for array in feeds.values():
            if array.ndim == 0:
                raise invalid_argument(
                    "Batching Run() input tensors must have at least one dimension"
                )
            if rows not in (-1, len(array)):
                raise invalid_argument(
                    "Batching Run() input tensors must have equal 0th-dimension size"
                )
            rows = len(array)
        metrics.batch_requested(rows, len(feeds))
        limit = self._options.max_batch_size
        if rows > limit:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size {limit}"
            )
        return rows

    def _can_join(self, feeds: Feeds, rows: int) -> bool:
        """Return whether a task may be batched; without rows it might wait for ever."""
        for name, array in feeds.items():
            spec = self._inputs.get(name)
            if spec is None or not spec.accepts(array):
                return False
        return rows > 0

    def _queue(self, feeds: Feeds, fetches: Sequence[str]) -> Queue:
        key = tuple(sorted(feeds)), tuple(sorted(fetches))
        queue = self._queues.get(key)
        if queue is None:
            process = functools.partial(self._process, *key)
            # Of two concurrent calls one wins; the other's queue stays empty.
            queue = Queue(self._scheduler, self._options, process)
            queue = self._queues.setdefault(key, queue)
        return queue

    def _process(self, inputs: _Names, outputs: _Names, tasks: list[Task]) -> None:
        now = time.monotonic()
        for task in tasks:
            metrics.batch_waited(now - task.enqueued)
        wanted = _in_time(_not_cancelled(tasks))
        for group in grouped(wanted, self._options):
            self._run_batch(inputs, outputs, group)

    def _run_batch(
        self, inputs: _Names, outputs: _Names, tasks: Sequence[Task]
    ) -> None:
        if not tasks:
            return
        rows = sum(task.rows for task in tasks)
        size = self._options.padded(rows)
        metrics.batch_filled(rows, size)
        try:
            feeds = concatenated(tasks, self._options, inputs, size)
            try:
                values = self._run(feeds, outputs, _time_left(tasks))
            finally:
                metrics.batch_ran()
            results = split_outputs(tasks, outputs, values, size)
        except Exception as error:
            if len(tasks) == 1:
                fail(tasks[0].future, error)
                return
            middle = len(tasks) // 2
            for half in (tasks[:middle], tasks[middle:]):
                self._run_batch(inputs, outputs, _in_time(half))
            return
        with delivering:
            for task, result in zip(tasks, results, strict=True):
                task.future.set_result(result)

    def _process_unbatched(self, tasks: list[Task]) -> None:
        for task in _in_time(_not_cancelled(tasks)):
            left = _time_left([task])
            settle(
                task.future,
                functools.partial(self._run, task.feeds, task.fetches, left),
            )


def _task(
    feeds: Feeds, fetches: Sequence[str], rows: int, timeout: float | None
) -> Task:
    now = time.monotonic()
    return Task(feeds, fetches, rows, now, None if timeout is None else now + timeout)


def _not_cancelled(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks not cancelled; from now on they cannot be."""
    return [task for task in tasks if task.future.set_running_or_notify_cancel()]


def _in_time(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks before their deadlines; fail the others."""
    now = time.monotonic()
    wanted = []
    for task in tasks:
        if task.deadline is None or now < task.deadline:
            wanted.append(task)
        else:
            task.future.set_exception(expired())
    return wanted


def _time_left(tasks: Sequence[Task]) -> float | None:
    """Return the seconds until the last deadline; None if a task has none."""
    deadlines = [task.deadline for task in tasks if task.deadline is not None]
    if len(deadlines) < len(tasks):
        return None
    return max(deadlines) - time.monotonic()


def expired() -> ServingError:
    """Return the error of a task whose deadline has passed."""
    return ServingError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Run() timeout exceeded while waiting in batching queue",
    )
