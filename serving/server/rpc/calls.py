"""One gRPC call as the metrics, the traces and the access log see it."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

import grpc

from fovea.serving.server.errors import ServingError
from fovea.serving.server.telemetry import access_log, metrics, tracing

log = logging.getLogger(__name__)

Method = Callable[[Any, Any, grpc.ServicerContext], Any]


class Call:
    """A call from its arrival to `succeeded` or `failed`.

    Args:
        service: The name of the service, without its package.
        method: The name of the method.
        request: The client's message.
        context: The context that gRPC passes to the method.
    """

    __slots__ = ("_context", "_end_span", "_method", "_request", "_started", "_watch")

    def __init__(
        self, service: str, method: str, request: Any, context: grpc.ServicerContext
    ) -> None:
        self._method = method
        self._request = request
        self._context = context
        self._started = time.perf_counter()
        spec = _spec(request)
        self._watch = metrics.Watch("GRPC", method, spec.name if spec else "")
        self._end_span = tracing.grpc_span(service, method, context)

    def succeeded(self, response: Any) -> None:
        """Record that the call ended with this response."""
        self._end(grpc.StatusCode.OK, response)

    def failed(self, error: BaseException) -> ServingError:
        """Record that the call ended with an error.

        Returns:
            The error to send to the client.
        """
        if not isinstance(error, ServingError):
            log.error("%s failed unexpectedly", self._method, exc_info=error)
            error = ServingError(grpc.StatusCode.INTERNAL, str(error))
        self._end(error.code, None)
        return error

    def _end(self, code: grpc.StatusCode, response: Any) -> None:
        if self._end_span is not None:
            self._end_span(code, self._request, response)
        self._watch.done(code)
        if access_log.is_on():
            self._log(code, response)

    def _log(self, code: grpc.StatusCode, response: Any) -> None:
        requested = _spec(self._request)
        spec = _spec(response) or requested
        version = signature = None
        if spec is not None:
            version = spec.version.value if spec.HasField("version") else None
            signature = spec.signature_name or None
        metadata = dict(self._context.invocation_metadata())
        access_log.add(
            "GRPC",
            self._method,
            model=requested.name if requested is not None else "",
            version=version,
            signature=signature,
            code=code,
            seconds=time.perf_counter() - self._started,
            peer=self._context.peer(),
            # No request_bytes: counting them would serialise the request once more.
            traceparent=metadata.get("traceparent", ""),
        )


def reporting_errors(method: Method) -> Method:
    """Let a method raise ServingError, and hide any other exception from clients."""

    @functools.wraps(method)
    def call_method(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        call = Call(type(self).__name__, method.__name__, request, context)
        try:
            response = method(self, request, context)
        except Exception as error:
            failure = call.failed(error)
        else:
            call.succeeded(response)
            return response
        return context.abort(failure.code, failure.details)

    return call_method


def _spec(message: Any) -> Any:
    """Return the first ModelSpec in a message, None without one."""
    for field in ("tasks", "results"):  # of MultiInference
        several = getattr(message, field, None)
        if several:
            message = several[0]
    return getattr(message, "model_spec", None)
