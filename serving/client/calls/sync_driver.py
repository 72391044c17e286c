"""Run operations over a gRPC channel, blocking until their results are there."""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Generator, Iterator
from typing import Any, Generic, TypeVar

import grpc

from fovea.serving.client.calls.call_options import CallOptions
from fovea.serving.client.calls.effects import METHODS, Call, Operation, Pause, unwrap

T = TypeVar("T")


class SyncDriver:
    """Makes the calls of operations over a channel; safe to share between threads."""

    def __init__(self, options: CallOptions, channel: grpc.Channel):
        self._options = options
        self._channel = channel
        self._methods = {
            method: channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            for method in METHODS
        }

    def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        self._channel.close()

    def run(self, operation: Operation[T], timeout: float | None) -> T:
        """Run an operation and return its result.

        Args:
            operation: The operation.
            timeout: Timeout of each request in seconds; None for that of the options.
        """
        with contextlib.closing(self._run_each(iter([operation]), timeout)) as results:
            return next(results)

    def stream(
        self, operations: Iterator[Operation[list[T]]], timeout: float | None
    ) -> Generator[T, None, None]:
        """Run operations, several at a time, and yield their results in order.

        Args:
            operations: Is read a few operations ahead of the results.
            timeout: Timeout of each request in seconds; None for that of the options.
        """
        with contextlib.closing(self._run_each(operations, timeout)) as results:
            for result in results:
                yield from result

    def collect(
        self, operations: Iterator[Operation[list[T]]], timeout: float | None
    ) -> list[T]:
        """Run operations as `stream` does, and return a list of their results.

        Raises:
            ClientError: The first result that is an error.
        """
        with contextlib.closing(self.stream(operations, timeout)) as results:
            return [unwrap(result) for result in results]

    def _run_each(
        self, operations: Iterator[Operation[T]], timeout: float | None
    ) -> Generator[T, None, None]:
        running: collections.deque[_Running[T]] = collections.deque()
        try:
            for operation in operations:
                if len(running) == self._options.in_flight:
                    yield running[0].result()
                    running.popleft()
                running.append(_Running(self, operation, timeout))
            while running:
                yield running[0].result()
                running.popleft()
        finally:
            for each in running:
                each.cancel()

    def send(self, call: Call, timeout: float | None) -> grpc.Future:
        """Start a call."""
        return self._methods[call.method].future(
            call.request,
            timeout=self._options.seconds(timeout),
            wait_for_ready=self._options.wait_for_ready,
        )

    def outcome(self, call: Call, future: grpc.Future, timeout: float | None) -> Any:
        """Wait for a call, and return its response or the ClientError."""
        try:
            return future.result()
        except grpc.RpcError as error:
            return self._options.to_error(error, call, timeout)


class _Running(Generic[T]):
    """An operation whose current calls have been sent."""

    def __init__(
        self, driver: SyncDriver, operation: Operation[T], timeout: float | None
    ):
        self._driver = driver
        self._operation = operation
        self._timeout = timeout
        self._sent: list[tuple[Call, grpc.Future]] = []
        self._result: list[T] = []  # holds the result when there is one
        self._advance(None)

    def _advance(self, outcomes: list[Any] | None) -> None:
        try:
            calls = (
                next(self._operation)
                if outcomes is None
                else self._operation.send(outcomes)
            )
            while isinstance(calls, Pause):
                time.sleep(calls.seconds)
                calls = self._operation.send([])
        except StopIteration as stop:
            self._result.append(stop.value)
            return
        self._sent = [(call, self._driver.send(call, self._timeout)) for call in calls]

    def result(self) -> T:
        """Wait for calls and send those that follow, until there is a result."""
        while not self._result:
            self._advance(
                [self._driver.outcome(*each, self._timeout) for each in self._sent]
            )
        return self._result[0]

    def cancel(self) -> None:
        """Cancel the calls that have not ended."""
        for _, future in self._sent:
            future.cancel()
