"""Threads that run batches, and the queues in which batches are filled.

As in TensorFlow Serving, all models and versions share the threads, requests with the
same inputs and outputs share a queue, and the threads take batches from the queues in
turn: a full one, or one whose first task has waited for `batch_timeout`.

One lock guards all of it. A sleeping thread is woken for a batch, not for a task: at
the first task, to sleep no longer than that may wait, and when the batch is full.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

import grpc

from fovea.serving.server.batching.parameters import PoolOptions, QueueOptions
from fovea.serving.server.batching.tasks import Batch, Task, split
from fovea.serving.server.errors import ServingError

log = logging.getLogger(__name__)

_MAX_WAIT = 3600.0  # seconds; conditions do not accept every float

Process = Callable[[list[Task]], None]


class Scheduler:
    """The threads that run batches.

    Args:
        options: Their number and name.
    """

    def __init__(self, options: PoolOptions) -> None:
        self.lock = threading.Lock()
        self.work = threading.Condition(self.lock)  # a batch may be ready
        self.idle = threading.Condition(self.lock)  # a closed queue may be empty
        self.waiting: deque[Queue] = deque()  # the queues that have tasks
        self._running = 0
        self._closed = False
        self._threads = [
            threading.Thread(
                target=self._run, name=f"{options.name}_{number}", daemon=True
            )
            for number in range(options.threads)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads as soon as the queues are empty."""
        with self.lock:
            self._closed = True
            self.work.notify_all()
        for thread in self._threads:
            thread.join()

    def run_now(self, queue: Queue, task: Task) -> bool:
        """Run a task in the caller's thread if one of ours would run it at once.

        For a small graph, waking another thread takes longer than the run.

        Returns:
            Whether it was run.
        """
        with self.lock:
            if self._running >= len(self._threads) or self.waiting or queue.closed:
                return False
            self._begin(queue)
        _process(queue, [task])
        with self.lock:
            self._end(queue)
            if self.waiting:
                self.work.notify()
        return True

    def _run(self) -> None:
        while True:
            with self.lock:
                found = self._next()
                if found is None:
                    return
                queue, batch = found
                self._begin(queue)
            _process(queue, batch.tasks)
            with self.lock:
                self._end(queue)
            # Free their arrays now, not when the next batch replaces them.
            del found, queue, batch

    def _begin(self, queue: Queue) -> None:
        self._running += 1
        queue.running += 1

    def _end(self, queue: Queue) -> None:
        self._running -= 1
        queue.running -= 1
        if queue.closed and not queue.running:
            self.idle.notify_all()

    def _next(self) -> tuple[Queue, Batch] | None:
        """Wait for a batch; return None when there will be no more."""
        while True:
            now = time.monotonic()
            due: float | None = None
            free = self._running < len(self._threads)
            for _ in range(len(self.waiting) if free else 0):
                queue = self.waiting[0]
                batch = queue.take(now)
                if queue.is_empty:
                    self.waiting.popleft()
                else:
                    self.waiting.rotate(-1)
                if batch is not None:
                    if self.waiting:  # another thread has to watch the others
                        self.work.notify()
                    return queue, batch
                due = queue.due if due is None else min(due, queue.due)
            if self._closed and not self.waiting:
                return None
            self.work.wait(None if due is None else min(due - now, _MAX_WAIT))


class Queue:
    """Tasks with the same inputs and outputs, in batches.

    Only `run`, `submit` and `close` may be called without the scheduler's lock.

    Args:
        scheduler: Has the threads.
        options: How batches are filled.
        process: Runs the tasks of a batch and sets the result of each.
    """

    def __init__(
        self, scheduler: Scheduler, options: QueueOptions, process: Process
    ) -> None:
        self._scheduler = scheduler
        self._options = options
        self._full: deque[Batch] = deque()
        self._open = Batch()
        self.process = process
        self.running = 0
        self.closed = False

    @property
    def is_empty(self) -> bool:
        """Whether no task waits."""
        return not self._full and not self._open.tasks

    @property
    def due(self) -> float:
        """When the batch that is being filled must be taken."""
        return self._open.due

    def run(self, task: Task) -> None:
        """Run a task now if a thread is free and it need not wait for others.

        Otherwise put it into a batch, as `submit` does.
        """
        options = self._options
        at_once = not options.batch_timeout
        at_once &= task.rows <= options.max_execution_batch_size
        if not at_once or not self._scheduler.run_now(self, task):
            self.submit(task)

    def submit(self, task: Task) -> None:
        """Put a task into a batch.

        Args:
            task: It has from 1 to `max_batch_size` rows.

        Raises:
            ServingError: UNAVAILABLE, the queue is full or closed.
        """
        with self._scheduler.lock:
            if self.closed:
                raise ServingError(
                    grpc.StatusCode.UNAVAILABLE, "The version has been unloaded"
                )
            was_empty = self.is_empty
            self._check_capacity(task.rows)
            size = self._options.max_execution_batch_size
            free = size - self._open.rows
            if task.rows <= free or not self._options.split:
                batches = self._add(task)
            else:
                batches = sum(map(self._add, split(task, free, size)))
            if was_empty:
                self._scheduler.waiting.append(self)
            if batches:
                self._scheduler.work.notify(batches)

    def _check_capacity(self, rows: int) -> None:
        """Refuse a task if the queue is full; rows count only where tasks are split.

        Raises:
            ServingError: UNAVAILABLE.
        """
        options = self._options
        batches, size = len(self._full) + 1, options.max_execution_batch_size
        if options.split:
            capacity = (options.max_enqueued_batches - batches) * size
            capacity += size - self._open.rows
            if rows > capacity:
                raise _full(
                    f"task size is {rows} but scheduling capacity is only {capacity} "
                    f"(num_enqueued_batches={batches}, "
                    f"max_enqueued_batches={options.max_enqueued_batches}, "
                    f"open_batch_size={self._open.rows}, "
                    f"max_execution_batch_size={size})"
                )
        elif self._open.rows + rows > size and batches >= options.max_enqueued_batches:
            raise _full(
                f"currently {batches} batches enqueued and max_enqueued_batches is "
                f"{options.max_enqueued_batches}"
            )

    def _add(self, task: Task) -> int:
        """Add a task to the open batch, or begin another.

        Returns:
            The number of batches for which a thread must be woken.
        """
        size, timeout = (
            self._options.max_execution_batch_size,
            self._options.batch_timeout,
        )
        if self._open.rows + task.rows > size:
            self._full.append(self._open)
            self._open = Batch()
        batch = self._open
        first = not batch.tasks
        if first:
            batch.due = task.enqueued + timeout
        batch.tasks.append(task)
        batch.rows += task.rows
        return int(first or (batch.rows >= size and timeout > 0))

    def take(self, now: float) -> Batch | None:
        """Return the next batch if one is full or due, else None."""
        if self._full:
            batch = self._full.popleft()
            self._refill(batch, now)
            return batch
        batch = self._open
        if batch.tasks and (
            batch.rows >= self._options.max_execution_batch_size
            or now >= batch.due
            or self.closed
        ):
            self._open = Batch()
            return batch
        return None

    def _refill(self, batch: Batch, now: float) -> None:
        """Replace expired and cancelled tasks by the next ones in the queue."""
        batch.rows = sum(task.rows for task in batch.tasks if task.is_wanted(now))
        while not self.is_empty:
            following = self._full[0] if self._full else self._open
            first = following.tasks[0]
            if batch.rows + first.rows > self._options.max_execution_batch_size:
                return
            batch.tasks.append(following.tasks.pop(0))
            following.rows -= first.rows
            batch.rows += first.rows
            if not following.tasks and self._full:
                self._full.popleft()

    def close(self) -> None:
        """Accept no more tasks; wait until all are done."""
        with self._scheduler.lock:
            self.closed = True
            self._scheduler.work.notify()
            self._scheduler.idle.wait_for(lambda: self.is_empty and not self.running)


def _process(queue: Queue, tasks: list[Task]) -> None:
    try:
        queue.process(tasks)
    except Exception as error:  # no future may stay pending
        log.exception("A batch failed unexpectedly")
        for task in tasks:
            if not task.future.done():
                task.future.set_exception(error)


def _full(how: str) -> ServingError:
    return ServingError(
        grpc.StatusCode.UNAVAILABLE,
        f"The batch scheduling queue to which this task was submitted is full; {how}",
    )
