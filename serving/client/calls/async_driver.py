"""Run operations over a gRPC channel in an event loop."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, TypeVar

import grpc
import grpc.aio

from fovea.serving.client.calls.call_options import CallOptions
from fovea.serving.client.calls.effects import Call, Operation, Pause, unwrap

T = TypeVar("T")


class AsyncDriver:
    """Makes the calls of operations over a channel of the running event loop.

    Args:
        options: The options of the calls.
        open_channel: Opens a channel; it is called once in each event loop.
    """

    def __init__(
        self, options: CallOptions, open_channel: Callable[[], grpc.aio.Channel]
    ):
        self._options = options
        self._open_channel = open_channel
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> grpc.aio.Channel:
        """Return the channel of the running loop, opening it if there is none."""
        loop = asyncio.get_running_loop()
        if self._channel is None or self._loop is not loop:
            # The channel of a loop that has ended can no longer be closed
            self._channel = self._open_channel()
            self._loop = loop
        return self._channel

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        if self._channel is not None and self._loop is asyncio.get_running_loop():
            await self._channel.close()
        self._channel = self._loop = None

    async def run(self, operation: Operation[T], timeout: float | None) -> T:
        """Run an operation and return its result.

        Args:
            operation: The operation.
            timeout: Timeout of each request in seconds; None for that of the options.
        """
        try:
            calls = next(operation)
            while True:
                if isinstance(calls, Pause):
                    await asyncio.sleep(calls.seconds)
                    calls = operation.send([])
                    continue
                outcomes = [self._outcome(call, timeout) for call in calls]
                calls = operation.send(await asyncio.gather(*outcomes))
        except StopIteration as stop:
            return stop.value

    async def stream(
        self, operations: Iterator[Operation[list[T]]], timeout: float | None
    ) -> AsyncGenerator[T, None]:
        """Run operations, several at a time, and yield their results in order.

        Args:
            operations: Is read, in a thread, a few operations ahead of the results.
            timeout: Timeout of each request in seconds; None for that of the options.
        """
        running: collections.deque[asyncio.Task[list[T]]] = collections.deque()
        try:
            # Reading and encoding images would block the event loop
            while (
                operation := await asyncio.to_thread(next, operations, None)
            ) is not None:
                if len(running) == self._options.in_flight:
                    for result in await running[0]:
                        yield result
                    running.popleft()
                running.append(asyncio.create_task(self.run(operation, timeout)))
            while running:
                for result in await running[0]:
                    yield result
                running.popleft()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def collect(
        self, operations: Iterator[Operation[list[T]]], timeout: float | None
    ) -> list[T]:
        """Run operations as `stream` does, and return a list of their results.

        Raises:
            ClientError: The first result that is an error.
        """
        async with contextlib.aclosing(self.stream(operations, timeout)) as results:
            return [unwrap(result) async for result in results]

    async def _outcome(self, call: Call, timeout: float | None) -> Any:
        method = self.open().unary_unary(
            call.method.path,
            request_serializer=call.method.request.SerializeToString,
            response_deserializer=call.method.response.FromString,
        )
        try:
            return await method(
                call.request,
                timeout=self._options.seconds(timeout),
                wait_for_ready=self._options.wait_for_ready,
            )
        except grpc.RpcError as error:
            return self._options.to_error(error, call, timeout)
