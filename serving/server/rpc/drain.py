"""Refuse new calls while the accepted ones are answered.

``grpc.Server.stop`` drops the calls that have arrived but are not yet handled: their
clients see CANCELLED, which nobody retries. So before it is called, every new call is
answered UNAVAILABLE, until none comes any more or a moment has passed. The answers are
held back until ``stop`` was called: clients that try again at once would keep coming.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

QUIET_SECONDS = 0.05
PATIENCE_SECONDS = 1.0


class Refusal(grpc.ServerInterceptor):
    """Lets every call through until ``start``; from then on only health checks."""

    def __init__(self) -> None:
        self._refusing = False
        self._refused = 0
        self._answering = threading.Event()
        # A pool of its own: a refusal must not wait behind the calls that run.
        pool = ThreadPoolExecutor(1, "refusal")

        def refuse(request: Any, context: grpc.ServicerContext) -> None:
            self._answering.wait(2 * PATIENCE_SECONDS)
            context.abort(grpc.StatusCode.UNAVAILABLE, "The server is shutting down")

        # Where gRPC looks for a method's pool; its stubs do not know that.
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
        if self._refusing and not handler_call_details.method.startswith(
            "/grpc.health.v1.Health/"
        ):
            self._refused += 1
            return self._handler
        # gRPC for Python has words for a method that does not exist, the original none.
        return continuation(handler_call_details) or self._unknown

    def start(self) -> None:
        """Refuse from now on; return when no more calls come, or after a second."""
        self._refusing = True
        end = time.monotonic() + PATIENCE_SECONDS
        before = -1
        while before != self._refused and time.monotonic() < end:
            before = self._refused
            time.sleep(QUIET_SECONDS)

    def answer(self) -> None:
        """Tell those who were refused: no new call is taken any more."""
        self._answering.set()
