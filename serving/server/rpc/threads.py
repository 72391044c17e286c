"""The threads of the gRPC server, which are not woken before there is something to do.

grpcio wakes a thread for each call, which asks for the request and sleeps until it is
there. Here the request is asked for at once, by the thread that looks after the
connections, and a thread is woken when it has come. For a small request to a method
that is marked as one that never waits, no thread is woken at all: it is called there
and then, and is answered by whoever has what it asked for.

grpcio has no public way to this: the module uses functions of ``grpc._server`` and
leaves everything to them where they are not as it knows them. tests/server/
test_grpc_threads.py is its contract.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

import grpc
from grpc import _server

from fovea.serving.server.admission import Pool
from fovea.serving.server.batching.turns import wait_turn
from fovea.serving.server.errors import ServingError

_NO_FLAGS = 0

# The words of grpcio's own limit, which counts all methods alike.
_FULL = b"Concurrent RPC limit exceeded!"

# What is larger takes long to read, and would keep all others waiting.
AT_ONCE_BYTES = 2**16

try:
    _UNARY = _server._unary_response_in_pool
    _message = _server._serialized_request
    _receive_message = _server._receive_message
    _RECEIVE_MESSAGE = _server._RECEIVE_MESSAGE_TOKEN
    _is_active = _server._is_rpc_state_active
    _call_behavior = _server._call_behavior
    _serialize = _server._serialize_response
    _send = _server._status
    _abort = _server._abort
    _cygrpc = _server.cygrpc
except AttributeError:  # another grpcio
    _UNARY = None


class Reply(Protocol):
    """Where a method that never waits puts its answer: one of the two, once."""

    def send(self, response: Any) -> None:
        """Answer."""

    def fail(self, error: ServingError) -> None:
        """Tell the client of an error."""


def never_waits(method: Callable[[Any, Any, Reply], None]) -> Callable[..., Any]:
    """Mark a method that returns at once, and answers when it can.

    Args:
        method: Takes a request, gRPC's context and a Reply.

    Returns:
        What to register with the gRPC server.
    """

    def call(
        request: Any, context: grpc.ServicerContext, reply: Reply | None = None
    ) -> Any:
        if reply is not None:
            return method(request, context, reply)
        awaited = _Awaited()  # for another grpcio, or another pool
        method(request, context, awaited)
        return awaited.result(context)

    call.never_waits = True  # type: ignore[attr-defined]
    return call


class _Awaited:
    """A Reply that a thread waits for."""

    def __init__(self) -> None:
        self._future: Future[Any] = Future()
        self.send = self._future.set_result
        self.fail = self._future.set_exception

    def result(self, context: grpc.ServicerContext) -> Any:
        try:
            return self._future.result()
        except ServingError as error:
            return context.abort(error.code, error.details)


class GrpcThreads(Pool):
    """What to give ``grpc.server`` as its thread pool.

    Methods that have threads of their own are not counted, so that health can be asked
    for whatever else waits.

    Args:
        count: How many methods run at the same time.
        limit: How many calls may be accepted, those that wait included; more are
            refused, before their request is read.

    Attributes:
        maximum_concurrent_rpcs: What to give ``grpc.server`` under this name.
    """

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(count, "grpc")
        self.maximum_concurrent_rpcs = limit if _UNARY is None else None
        self._limit = limit
        self._accepted = 0
        self._lock = threading.Lock()

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Take a call from grpcio."""
        if _UNARY is None or len(args) != 7 or args[0] is not _UNARY:
            return super().submit(function, *args, **kwargs)
        event, state, method, thunk, read, write = args[1:]
        if not thunk.__qualname__.startswith("_unary_request."):
            return super().submit(function, *args, **kwargs)
        with self._lock:
            accepted = self._accepted < self._limit
            self._accepted += accepted
        if accepted:
            _Call(event, state, method, read, write, self._ended).receive(self._begin)
        else:
            with state.condition:
                _abort(state, event.call, _cygrpc.StatusCode.resource_exhausted, _FULL)
        return None  # nothing that grpcio would have to count

    def _ended(self) -> None:
        with self._lock:
            self._accepted -= 1

    def _begin(self, call: _Call) -> None:
        if call.size <= AT_ONCE_BYTES and getattr(call.method, "never_waits", False):
            call.answer()
        else:
            super().submit(call.answer)


class _Call:
    """One call of a method with one request and one response."""

    __slots__ = ("_ended", "_event", "_read", "_state", "_write", "method", "size")

    def __init__(
        self,
        event: Any,
        state: Any,
        method: Any,
        read: Any,
        write: Any,
        ended: Callable[[], None],
    ) -> None:
        self._event, self._state = event, state
        self._read, self._write = read, write
        self._ended = ended
        self.method = method
        self.size = 0

    def receive(self, begin: Callable[[_Call], None]) -> None:
        """Ask for the request; ``begin`` is called when it has come."""
        state, call = self._state, self._event.call
        receive_message = _receive_message(state, call, self._read)

        def received(event: Any) -> Any:
            wait_turn()
            self.size = len(_message(event) or b"")
            result = receive_message(event)
            if state.request is not None:
                begin(self)
                return result
            with state.condition:
                if not state.statused and state.client is _server._CLOSED:
                    name = self._event.call_details.method
                    text = f'"{name}" requires exactly one request message.'
                    _abort(state, call, _cygrpc.StatusCode.unimplemented, text.encode())
            self._ended()
            return result

        with state.condition:
            if not _is_active(state):
                self._ended()
                return
            operations = (_cygrpc.ReceiveMessageOperation(_NO_FLAGS),)
            call.start_server_batch(operations, received)
            state.due.add(_RECEIVE_MESSAGE)

    def answer(self) -> None:
        """Call the method and send what it returns, now or when that is there."""
        later = self if getattr(self.method, "never_waits", False) else None
        try:
            request, self._state.request = self._state.request, None
            response, proceed = _call_behavior(
                self._event, self._state, self.method, request, self._read, later
            )
        except BaseException:
            self._ended()
            raise
        if not proceed:
            self._ended()
        elif later is None:
            self.send(response)

    def send(self, response: Any) -> None:
        try:
            raw = _serialize(self._event, self._state, response, self._write)
            if raw is not None:
                _send(self._event, self._state, raw)
        finally:
            self._ended()

    def fail(self, error: ServingError) -> None:
        state = self._state
        with state.condition:
            if _is_active(state):
                state.code = error.code
                state.details = error.details.encode()
                unknown = _cygrpc.StatusCode.unknown
                _abort(state, self._event.call, unknown, b"RPC Aborted")
        self._ended()
