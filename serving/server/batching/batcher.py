"""The runs of one loaded version, put together: its queues, and what is done in them.

Beyond the original: who cannot be waited for any more is not run, a task that does not
fit the graph runs by itself, and when a run fails its tasks are run again in halves,
until those are left that fail alone.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

import grpc

from fovea.serving.server.batching.inputs import Input
from fovea.serving.server.batching.merge import alike, merged, parted
from fovea.serving.server.batching.parameters import QueueOptions
from fovea.serving.server.batching.scheduler import Queue, Scheduler
from fovea.serving.server.batching.tasks import Feeds, Task, fail, settle
from fovea.serving.server.batching.turns import writing
from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.telemetry import metrics

Run = Callable[[Feeds, Sequence[str], float | None], list[Any]]
_Names = tuple[str, ...]


class Batcher:
    """Puts runs together; ``run`` and ``submit`` take what a Runner's ``run`` takes.

    Args:
        run: Runs the graph.
        inputs: What the graph says of the tensors that it is fed, by their names.
        scheduler: Has the threads.
        options: How runs are put together.
    """

    def __init__(
        self,
        run: Run,
        inputs: Mapping[str, Input],
        scheduler: Scheduler,
        options: QueueOptions,
    ) -> None:
        self._run = run
        self._inputs = inputs
        self._scheduler = scheduler
        self._options = options
        self._queues: dict[tuple[_Names, _Names], Queue] = {}
        # For tasks that run by themselves, each a batch: room for as many as could
        # wait in batches.
        room = options.max_enqueued_batches * options.max_execution_batch_size
        one_by_one = QueueOptions(1, 1, max_enqueued_batches=room)
        self._apart = Queue(scheduler, one_by_one, self._process_apart)

    def run(
        self, feeds: Feeds, fetches: Sequence[str], timeout: float | None = None
    ) -> list[Any]:
        """Run the graph together with others, and wait for it.

        Raises:
            ServingError: The graph failed, it was too late, or there was no room.
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
            return task.future.result()  # it runs, and no longer than anyone waits
        finally:
            del task  # an error has this frame in its traceback, and the task has it

    def submit(
        self, feeds: Feeds, fetches: Sequence[str], timeout: float | None = None
    ) -> Future[list[Any]]:
        """Run the graph together with others, and do not wait for it.

        Returns:
            What will have the values, or the error that ``run`` raises. What is
            cancelled in time is not run.
        """
        task = _task(feeds, fetches, 1, timeout)
        try:
            rows = self._rows(feeds)
            if self._can_join(feeds, rows):
                task.rows = rows
                self._queue(feeds, fetches).submit(task)
            else:
                self._apart.submit(task)
        except ServingError as error:
            fail(task.future, error)
        return task.future

    def close(self) -> None:
        """Return when every task has been answered; there must be no new ones."""
        for queue in [self._apart, *self._queues.values()]:
            queue.close()

    def _rows(self, feeds: Feeds) -> int:
        """The 0th dimension of all arrays of a task, which is to be the same."""
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
        metrics.batch_asked(rows, len(feeds))
        limit = self._options.max_batch_size
        if rows > limit:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size {limit}"
            )
        return rows

    def _can_join(self, feeds: Feeds, rows: int) -> bool:
        """Whether a task may run with others; one without rows might wait for ever."""
        for name, array in feeds.items():
            known = self._inputs.get(name)
            if known is None or not known.fits(array):
                return False
        return rows > 0

    def _queue(self, feeds: Feeds, fetches: Sequence[str]) -> Queue:
        key = tuple(sorted(feeds)), tuple(sorted(fetches))
        queue = self._queues.get(key)
        if queue is None:
            process = functools.partial(self._process, *key)
            # Of two that come at once, one wins; the other's queue stays empty.
            queue = Queue(self._scheduler, self._options, process)
            queue = self._queues.setdefault(key, queue)
        return queue

    def _process(self, inputs: _Names, outputs: _Names, tasks: list[Task]) -> None:
        now = time.monotonic()
        for task in tasks:
            metrics.batch_waited(now - task.enqueued)
        wanted = _in_time(_not_cancelled(tasks))
        for group in alike(wanted, self._options):
            self._run_together(inputs, outputs, group)

    def _run_together(
        self, inputs: _Names, outputs: _Names, tasks: Sequence[Task]
    ) -> None:
        if not tasks:
            return
        rows = sum(task.rows for task in tasks)
        size = self._options.padded(rows)
        metrics.batch_filled(rows, size)
        try:
            feeds = merged(tasks, self._options, inputs, size)
            try:
                values = self._run(feeds, outputs, _time_left(tasks))
            finally:
                metrics.batch_ran()
            answers = parted(tasks, outputs, values, size)
        except Exception as error:
            if len(tasks) == 1:
                fail(tasks[0].future, error)
                return
            middle = len(tasks) // 2
            for half in (tasks[:middle], tasks[middle:]):
                self._run_together(inputs, outputs, _in_time(half))
            return
        with writing:
            for task, answer in zip(tasks, answers, strict=True):
                task.future.set_result(answer)

    def _process_apart(self, tasks: list[Task]) -> None:
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
    """Those whose future is still wanted; from now on it cannot be cancelled."""
    return [task for task in tasks if task.future.set_running_or_notify_cancel()]


def _in_time(tasks: Sequence[Task]) -> list[Task]:
    """Those that somebody waits for; the others are told that it is too late."""
    now = time.monotonic()
    wanted = []
    for task in tasks:
        if task.deadline is None or now < task.deadline:
            wanted.append(task)
        else:
            task.future.set_exception(expired())
    return wanted


def _time_left(tasks: Sequence[Task]) -> float | None:
    """Seconds until nobody waits for any of them; None if somebody has all the time."""
    deadlines = [task.deadline for task in tasks if task.deadline is not None]
    if len(deadlines) < len(tasks):
        return None
    return max(deadlines) - time.monotonic()


def expired() -> ServingError:
    """The error of who cannot be waited for any more."""
    return ServingError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Run() timeout exceeded while waiting in batching queue",
    )
