"""The threads of the gRPC server, which are woken only when there is work to do.

grpcio wakes a thread for each call; the thread requests the message and sleeps until it
has arrived. Here the thread that serves the connections requests the message, and
another thread is woken once the message is there. A small request to a method marked
`non_blocking` wakes no thread: the method is called at once, and the thread that
produces the result sends the response.

grpcio has no public interface for this. The module uses functions of `grpc._server`, if
they have the signatures that `grpc_private` records; otherwise grpcio handles every
call in its own way, and a warning in the log says what is lost by that.
tests/server/rpc/test_threads.py is the contract.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

import grpc

from fovea.serving.server.admission import Pool
from fovea.serving.server.batching.delivery import wait_for_delivery
from fovea.serving.server.errors import ServingError
from fovea.serving.server.rpc import grpc_private
from fovea.serving.server.rpc.grpc_private import server as _server

log = logging.getLogger(__name__)

_NO_FLAGS = 0

# The text of grpcio's own limit, which counts the calls of all methods.
_FULL = b"Concurrent RPC limit exceeded!"

# Parsing a larger request takes long, and all other connections would wait for it.
INLINE_BYTES = 2**16


class Reply(Protocol):
    """The receiver of a non-blocking method's result: one of the two calls, once."""

    def send(self, response: Any) -> None:
        """Send the response."""

    def fail(self, error: ServingError) -> None:
        """End the call with an error."""


def non_blocking(method: Callable[[Any, Any, Reply], None]) -> Callable[..., Any]:
    """Mark a method that returns at once and sends its response later.

    Args:
        method: Takes a request, gRPC's context and a `Reply`.

    Returns:
        The method to register with the gRPC server. In another pool, or with an
        unknown grpcio, it blocks until the response is there.
    """

    def call(
        request: Any, context: grpc.ServicerContext, reply: Reply | None = None
    ) -> Any:
        if reply is not None:
            return method(request, context, reply)
        blocking = _BlockingReply()
        method(request, context, blocking)
        return blocking.result(context)

    call.non_blocking = True  # type: ignore[attr-defined]
    return call


class _BlockingReply:
    """A `Reply` whose result a thread waits for."""

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
    """The thread pool to pass to `grpc.server`.

    Methods with a thread pool of their own are not counted, so that health checks are
    served however many other calls wait.

    Args:
        count: How many methods run at the same time.
        limit: How many calls may be accepted, including those that wait; further calls
            are refused before their message is read.

    Attributes:
        maximum_concurrent_rpcs: The argument of this name for `grpc.server`.
    """

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(count, "grpc")
        difference = grpc_private.difference(_server)
        self._is_known = difference is None
        if difference is not None:
            log.warning(
                "grpcio %s is not a version that this server knows (%s), so grpcio "
                "handles all calls in its own way. Not protected then: a call occupies "
                "a thread while its message arrives and while its batch waits, and "
                "health checks count towards the limit of %d concurrent calls and are "
                "refused beyond it",
                getattr(grpc, "__version__", ""),
                difference,
                limit,
            )
        self.maximum_concurrent_rpcs = None if self._is_known else limit
        self._limit = limit
        self._accepted = 0
        self._lock = threading.Lock()

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Accept a call from grpcio, or refuse it."""
        if not self._is_known or not _is_unary(args):
            return super().submit(function, *args, **kwargs)
        event, state, method, _, read, write = args[1:]
        with self._lock:
            accepted = self._accepted < self._limit
            self._accepted += accepted
        if accepted:
            call = _Call(event, state, method, read, write, self._ended)
            call.receive(self._begin)
        else:
            with state.condition:
                exhausted = _server.cygrpc.StatusCode.resource_exhausted
                _server._abort(state, event.call, exhausted, _FULL)
        return None  # no future: grpcio's own counter is switched off

    def _ended(self) -> None:
        with self._lock:
            self._accepted -= 1

    def _begin(self, call: _Call) -> None:
        if call.size <= INLINE_BYTES and call.is_non_blocking:
            call.run()
        else:
            super().submit(call.run)


def _is_unary(args: tuple[Any, ...]) -> bool:
    """Return whether grpcio submits a method with one request and one response."""
    return (
        len(args) == 7
        and args[0] is _server._unary_response_in_pool
        and args[4].__qualname__.startswith("_unary_request.")
    )


class _Call:
    """One call of a method with one request and one response."""

    __slots__ = (
        "_ended",
        "_event",
        "_method",
        "_read",
        "_state",
        "_write",
        "is_non_blocking",
        "size",
    )

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
        self._method, self._read, self._write = method, read, write
        self._ended = ended
        self.is_non_blocking = getattr(method, "non_blocking", False)
        self.size = 0

    def receive(self, begin: Callable[[_Call], None]) -> None:
        """Request the message, and call `begin` when it has arrived."""
        state, call = self._state, self._event.call
        receive_message = _server._receive_message(state, call, self._read)

        def received(event: Any) -> Any:
            wait_for_delivery()
            self.size = len(_server._serialized_request(event) or b"")
            result = receive_message(event)
            if state.request is not None:
                begin(self)
                return result
            with state.condition:
                if not state.statused and state.client is _server._CLOSED:
                    name = self._event.call_details.method
                    text = f'"{name}" requires exactly one request message.'
                    unimplemented = _server.cygrpc.StatusCode.unimplemented
                    _server._abort(state, call, unimplemented, text.encode())
            self._ended()
            return result

        with state.condition:
            if not _server._is_rpc_state_active(state):
                self._ended()
                return
            operations = (_server.cygrpc.ReceiveMessageOperation(_NO_FLAGS),)
            call.start_server_batch(operations, received)
            state.due.add(_server._RECEIVE_MESSAGE_TOKEN)

    def run(self) -> None:
        """Call the method; send its result, unless the method does so itself."""
        reply = self if self.is_non_blocking else None
        try:
            request, self._state.request = self._state.request, None
            response, proceed = _server._call_behavior(
                self._event, self._state, self._method, request, self._read, reply
            )
        except BaseException:
            self._ended()
            raise
        if not proceed:
            self._ended()
        elif reply is None:
            self.send(response)

    def send(self, response: Any) -> None:
        try:
            raw = _server._serialize_response(
                self._event, self._state, response, self._write
            )
            if raw is not None:
                _server._status(self._event, self._state, raw)
        finally:
            self._ended()

    def fail(self, error: ServingError) -> None:
        state = self._state
        with state.condition:
            if _server._is_rpc_state_active(state):
                state.code = error.code
                state.details = error.details.encode()
                unknown = _server.cygrpc.StatusCode.unknown
                _server._abort(state, self._event.call, unknown, b"RPC Aborted")
        self._ended()
