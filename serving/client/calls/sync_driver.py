"""Makes the calls of questions and waits for them."""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Generator, Iterator
from typing import Any, Generic, TypeVar

import grpc

from fovea.serving.client.calls.effects import METHODS, Call, Pause, Steps
from fovea.serving.client.calls.settings import Settings

T = TypeVar("T")


class SyncCalls:
    """Asks questions over a channel; safe to share between threads."""

    def __init__(self, settings: Settings, channel: grpc.Channel):
        self._settings = settings
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

    def run(self, steps: Steps[T], timeout: float | None) -> T:
        """Ask one question; `timeout` None means that of the settings."""
        with contextlib.closing(self._each(iter([steps]), timeout)) as results:
            return next(results)

    def answers(
        self, parts: Iterator[Steps[list[T]]], timeout: float | None
    ) -> Generator[T, None, None]:
        """Ask a few questions at a time, and yield all they bring, in order."""
        with contextlib.closing(self._each(parts, timeout)) as results:
            for result in results:
                yield from result

    def _each(
        self, questions: Iterator[Steps[T]], timeout: float | None
    ) -> Generator[T, None, None]:
        under_way: collections.deque[_UnderWay[T]] = collections.deque()
        try:
            for steps in questions:
                if len(under_way) == self._settings.in_flight:
                    yield under_way[0].result()
                    under_way.popleft()
                under_way.append(_UnderWay(self, steps, timeout))
            while under_way:
                yield under_way[0].result()
                under_way.popleft()
        finally:
            for question in under_way:
                question.cancel()

    def send(self, call: Call, timeout: float | None) -> grpc.Future:
        """Start a call."""
        return self._methods[call.method].future(
            call.request,
            timeout=self._settings.seconds(timeout),
            wait_for_ready=self._settings.wait_for_ready,
        )

    def outcome(self, call: Call, future: grpc.Future, timeout: float | None) -> Any:
        """Wait for a call: its response or the ClientError."""
        try:
            return future.result()
        except grpc.RpcError as failed:
            return self._settings.explain(failed, call, timeout)


class _UnderWay(Generic[T]):
    """A question whose next calls have been sent."""

    def __init__(self, calls: SyncCalls, steps: Steps[T], timeout: float | None):
        self._calls = calls
        self._steps = steps
        self._timeout = timeout
        self._sent: list[tuple[Call, grpc.Future]] = []
        self._result: list[T] = []  # the one, once it is there
        self._go_on(None)

    def _go_on(self, outcomes: list[Any] | None) -> None:
        try:
            calls = (
                next(self._steps) if outcomes is None else self._steps.send(outcomes)
            )
            while isinstance(calls, Pause):
                time.sleep(calls.seconds)
                calls = self._steps.send([])
        except StopIteration as done:
            self._result.append(done.value)
            return
        self._sent = [(each, self._calls.send(each, self._timeout)) for each in calls]

    def result(self) -> T:
        """Wait, and send what is to be asked next, until the result is there."""
        while not self._result:
            self._go_on(
                [self._calls.outcome(*each, self._timeout) for each in self._sent]
            )
        return self._result[0]

    def cancel(self) -> None:
        """Give up; does nothing to calls that have ended."""
        for _, future in self._sent:
            future.cancel()
