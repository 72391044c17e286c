"""Refuse new calls while the accepted ones end.

`grpc.Server.stop` cancels the calls that have arrived but are not handled yet: their
clients receive CANCELLED, which no client retries. So before it is called, every new
call is refused with UNAVAILABLE, until no more calls arrive or a second has passed. The
refusals are sent only after `stop` was called, because a client that retries at once
would otherwise keep new calls arriving.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

QUIET_SECONDS = 0.05
MAX_SECONDS = 1.0


class DrainInterceptor(grpc.ServerInterceptor):
    """Passes every call until `refuse_new_calls`, and then only health checks."""

    def __init__(self) -> None:
        self._refusing = False
        self._refused = 0
        self._may_send = threading.Event()
        # An own pool: a refusal must not wait for the calls that run.
        pool = ThreadPoolExecutor(1, "refusal")

        def refuse(request: Any, context: grpc.ServicerContext) -> None:
            self._may_send.wait(2 * MAX_SECONDS)
            context.abort(grpc.StatusCode.UNAVAILABLE, "The server is shutting down")

        # gRPC reads the pool of a method from here, which its stubs do not declare.
        refuse.experimental_thread_pool = pool  # type: ignore[attr-defined]
        self._handler = grpc.unary_unary_rpc_method_handler(refuse)

        def unknown(requests: Any, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "")

        unknown.experimental_thread_pool = pool  # type: ignore[attr-defined]
        self._unknown = grpc.stream_unary_rpc_method_handler(unknown)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Any],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler of a call."""
        if self._refusing and not handler_call_details.method.startswith(
            "/grpc.health.v1.Health/"
        ):
            self._refused += 1
            return self._handler
        # For a method that does not exist, gRPC for Python sends a text and TensorFlow
        # Serving sends none.
        return continuation(handler_call_details) or self._unknown

    def refuse_new_calls(self) -> None:
        """Refuse calls from now on; return once none arrives, or after a second."""
        self._refusing = True
        end = time.monotonic() + MAX_SECONDS
        before = -1
        while before != self._refused and time.monotonic() < end:
            before = self._refused
            time.sleep(QUIET_SECONDS)

    def send_refusals(self) -> None:
        """Send the refusals; to be called when the server accepts no more calls."""
        self._may_send.set()
