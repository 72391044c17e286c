"""Makes the calls of questions in an event loop."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, TypeVar

import grpc
import grpc.aio

from fovea.serving.client.calls.effects import Call, Pause, Steps
from fovea.serving.client.calls.settings import Settings

T = TypeVar("T")


class AioCalls:
    """Asks questions over a channel of the running event loop.

    Args:
        settings: the client's.
        open_channel: opens a channel; called once in each event loop.
    """

    def __init__(
        self, settings: Settings, open_channel: Callable[[], grpc.aio.Channel]
    ):
        self._settings = settings
        self._open_channel = open_channel
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> grpc.aio.Channel:
        """The channel of the running loop."""
        loop = asyncio.get_running_loop()
        if self._channel is None or self._loop is not loop:
            # The channel of a loop that has ended cannot be closed any more
            self._channel = self._open_channel()
            self._loop = loop
        return self._channel

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        if self._channel is not None and self._loop is asyncio.get_running_loop():
            await self._channel.close()
        self._channel = self._loop = None

    async def run(self, steps: Steps[T], timeout: float | None) -> T:
        """Ask one question; `timeout` None means that of the settings."""
        try:
            calls = next(steps)
            while True:
                if isinstance(calls, Pause):
                    await asyncio.sleep(calls.seconds)
                    calls = steps.send([])
                    continue
                outcomes = [self._outcome(call, timeout) for call in calls]
                calls = steps.send(await asyncio.gather(*outcomes))
        except StopIteration as done:
            return done.value

    async def answers(
        self, parts: Iterator[Steps[list[T]]], timeout: float | None
    ) -> AsyncGenerator[T, None]:
        """Ask a few questions at a time, and yield all they bring, in order."""
        under_way: collections.deque[asyncio.Task[list[T]]] = collections.deque()
        try:
            # Reading and encoding images would hold up everything else in the loop
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                if len(under_way) == self._settings.in_flight:
                    for answer in await under_way[0]:
                        yield answer
                    under_way.popleft()
                under_way.append(asyncio.create_task(self.run(part, timeout)))
            while under_way:
                for answer in await under_way[0]:
                    yield answer
                under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _outcome(self, call: Call, timeout: float | None) -> Any:
        send = self.open().unary_unary(
            call.method.path,
            request_serializer=call.method.request.SerializeToString,
            response_deserializer=call.method.response.FromString,
        )
        try:
            return await send(
                call.request,
                timeout=self._settings.seconds(timeout),
                wait_for_ready=self._settings.wait_for_ready,
            )
        except grpc.RpcError as failed:
            return self._settings.explain(failed, call, timeout)
