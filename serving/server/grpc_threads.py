"""The threads of the gRPC server, which are not woken before there is something to do.

grpcio wakes a thread for each call, which asks for the request and sleeps until it is
there. Here the request is asked for at once, by the thread that looks after the
connections, and a thread is woken when it has come. For a small request to a method
that is marked as one that never waits, no thread is woken at all: it is called there
and then, and returns a future, which is answered by whoever fulfils it.

grpcio has no public way to this: the module uses functions of ``grpc._server`` and
leaves everything to them where they are not as it knows them. tests/server/
test_grpc_threads.py is its contract.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import grpc
from grpc import _server

from serving.server.admission import Pool
from serving.server.errors import ServingError

_NO_FLAGS = 0

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


def never_waits(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method that returns a future at once, whatever it asks for.

    The future may fail with a ServingError, which the client is told.
    """

    def call(*arguments: Any) -> Any:  # a bound method takes no attributes
        return method(*arguments)

    call.never_waits = True  # type: ignore[attr-defined]
    return call


class GrpcThreads(Pool):
    """What to give ``grpc.server`` as its thread pool.

    Args:
        count: How many methods run at the same time.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count, "grpc")

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Take a call from grpcio.

        Returns:
            What is done when the call has been answered.
        """
        if _UNARY is None or len(args) != 7 or args[0] is not _UNARY:
            return super().submit(function, *args, **kwargs)
        event, state, method, thunk, read, write = args[1:]
        if not thunk.__qualname__.startswith("_unary_request."):
            return super().submit(function, *args, **kwargs)
        call = _Call(event, state, method, read, write)
        call.receive(self._begin)
        return call.done

    def _begin(self, call: _Call) -> None:
        if call.size <= AT_ONCE_BYTES and getattr(call.method, "never_waits", False):
            call.answer()
        else:
            super().submit(call.answer)


class _Call:
    """One call of a method with one request and one response."""

    def __init__(
        self, event: Any, state: Any, method: Any, read: Any, write: Any
    ) -> None:
        self._event, self._state = event, state
        self._read, self._write = read, write
        self.method = method
        self.size = 0
        self.done: Future[None] = Future()

    def receive(self, begin: Callable[[_Call], None]) -> None:
        """Ask for the request; ``begin`` is called when it has come."""
        state, call = self._state, self._event.call
        receive_message = _receive_message(state, call, self._read)

        def received(event: Any) -> Any:
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
            self.done.set_result(None)
            return result

        with state.condition:
            if not _is_active(state):
                self.done.set_result(None)
                return
            operations = (_cygrpc.ReceiveMessageOperation(_NO_FLAGS),)
            call.start_server_batch(operations, received)
            state.due.add(_RECEIVE_MESSAGE)

    def answer(self) -> None:
        """Call the method and send what it returns, now or when that is there."""
        try:
            request, self._state.request = self._state.request, None
            reply, proceed = _call_behavior(
                self._event, self._state, self.method, request, self._read
            )
        except BaseException:
            self.done.set_result(None)
            raise
        if not proceed:
            self.done.set_result(None)
        elif isinstance(reply, Future):
            reply.add_done_callback(self._finish)
        else:
            self._send(reply)

    def _finish(self, reply: Future[Any]) -> None:
        error = reply.exception()
        if error is None:
            self._send(reply.result())
            return
        if not isinstance(error, ServingError):
            error = ServingError(grpc.StatusCode.INTERNAL, str(error))
        with self._state.condition:
            if _is_active(self._state):
                self._state.code = error.code
                self._state.details = error.details.encode()
                _abort(
                    self._state,
                    self._event.call,
                    _cygrpc.StatusCode.unknown,
                    b"RPC Aborted",
                )
        self.done.set_result(None)

    def _send(self, reply: Any) -> None:
        try:
            raw = _serialize(self._event, self._state, reply, self._write)
            if raw is not None:
                _send(self._event, self._state, raw)
        finally:
            self.done.set_result(None)
