"""Threads that run batches, and the queues in which those are filled.

As in the original, all models and versions share the threads, each kind of request has
a queue of its own, and the threads take a batch from one queue after the other: a full
one, or one whose first task has waited for ``batch_timeout``.

All of it is under one lock. A sleeping thread is woken for a batch, not for a task:
when the first one comes, to sleep no longer than that may wait, and when it is full.
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

_LONGEST_WAIT = 3600.0  # more than a condition may be asked for makes no difference

Process = Callable[[list[Task]], None]


class Scheduler:
    """The threads.

    Args:
        options: How many, and their name.
    """

    def __init__(self, options: PoolOptions) -> None:
        self.lock = threading.Lock()
        self.work = threading.Condition(self.lock)  # for threads without any
        self.idle = threading.Condition(self.lock)  # for who closes a queue
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
        """End the threads, when the queues are empty."""
        with self.lock:
            self._closed = True
            self.work.notify_all()
        for thread in self._threads:
            thread.join()

    def run_now(self, queue: Queue, task: Task) -> bool:
        """Run a task in the thread that asks, if one of ours would do so at once.

        For a small graph it takes longer to wake another thread than to run.

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
            # They are large, and it may be long until others take their names.
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
        """Wait for a batch; None when there will be no more."""
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
                    if self.waiting:  # somebody has to look after the others
                        self.work.notify()
                    return queue, batch
                due = queue.due if due is None else min(due, queue.due)
            if self._closed and not self.waiting:
                return None
            self.work.wait(None if due is None else min(due - now, _LONGEST_WAIT))


class Queue:
    """Tasks of one kind, in batches.

    What is neither ``submit`` nor ``close`` is for the threads, which hold the lock.

    Args:
        scheduler: Has the threads.
        options: How batches are filled.
        process: Runs the tasks of a batch and answers each of them.
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
        """When the batch that is being filled is to be taken."""
        return self._open.due

    def run(self, task: Task) -> None:
        """Run a task now if a thread is free and would not wait for others.

        Else put it into a batch, as ``submit`` does.
        """
        options = self._options
        at_once = not options.batch_timeout
        at_once &= task.rows <= options.max_execution_batch_size
        if not at_once or not self._scheduler.run_now(self, task):
            self.submit(task)

    def submit(self, task: Task) -> None:
        """Put a task into a batch.

        Args:
            task: It has at least one row, and no more than one may have.

        Raises:
            ServingError: There is no room for it.
        """
        with self._scheduler.lock:
            if self.closed:
                raise ServingError(
                    grpc.StatusCode.UNAVAILABLE, "The version has been unloaded"
                )
            was_empty = self.is_empty
            self._check_room(task.rows)
            size = self._options.max_execution_batch_size
            room = size - self._open.rows
            if task.rows <= room or not self._options.split:
                batches = self._add(task)
            else:
                batches = sum(map(self._add, split(task, room, size)))
            if was_empty:
                self._scheduler.waiting.append(self)
            if batches:
                self._scheduler.work.notify(batches)

    def _check_room(self, rows: int) -> None:
        """As the original does, which counts rows only where tasks may be split."""
        options = self._options
        batches, size = len(self._full) + 1, options.max_execution_batch_size
        if options.split:
            room = (options.max_enqueued_batches - batches) * size
            room += size - self._open.rows
            if rows > room:
                raise _full(
                    f"task size is {rows} but scheduling capacity is only {room} "
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
        """Put a task where it fits.

        Returns:
            How many batches are now to be looked after that were not before.
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
        """The next batch to run, if it is time for one."""
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
        """Let the next tasks into the room of those that nobody waits for any more."""
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
        """Take no more tasks; return when those that wait have been answered."""
        with self._scheduler.lock:
            self.closed = True
            self._scheduler.work.notify()
            self._scheduler.idle.wait_for(lambda: self.is_empty and not self.running)


def _process(queue: Queue, tasks: list[Task]) -> None:
    try:
        queue.process(tasks)
    except Exception as error:  # nobody shall wait for ever
        log.exception("A batch failed unexpectedly")
        for task in tasks:
            if not task.future.done():
                task.future.set_exception(error)


def _full(how: str) -> ServingError:
    return ServingError(
        grpc.StatusCode.UNAVAILABLE,
        f"The batch scheduling queue to which this task was submitted is full; {how}",
    )
