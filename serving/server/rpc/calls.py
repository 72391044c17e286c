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
    """A call, from its making to ``answered`` or ``failed``.

    Args:
        service: The name of the service, without its package.
        method: The name of the method.
        request: What the client sent.
        context: gRPC's.
    """

    __slots__ = ("_came", "_context", "_method", "_request", "_span", "_watch")

    def __init__(
        self, service: str, method: str, request: Any, context: grpc.ServicerContext
    ) -> None:
        self._method = method
        self._request = request
        self._context = context
        self._came = time.perf_counter()
        self._watch = metrics.Watch("GRPC", method, _model(request))
        self._span = tracing.of_call(service, method, context)

    def answered(self, response: Any) -> None:
        """It ends with this response."""
        self._end(grpc.StatusCode.OK, response)

    def failed(self, error: BaseException) -> ServingError:
        """It ends with an error.

        Returns:
            What the client is to be told of it.
        """
        if not isinstance(error, ServingError):
            log.error("%s failed unexpectedly", self._method, exc_info=error)
            error = ServingError(grpc.StatusCode.INTERNAL, str(error))
        self._end(error.code, None)
        return error

    def _end(self, code: grpc.StatusCode, response: Any) -> None:
        if self._span is not None:
            self._span(code, self._request, response)
        self._watch.done(code)
        seconds = time.perf_counter() - self._came
        access_log.call(
            self._method, self._request, response, code, seconds, self._context
        )


def answering(method: Method) -> Method:
    """Let a method raise ServingError, and no client see any other exception."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        call = Call(type(self).__name__, method.__name__, request, context)
        try:
            response = method(self, request, context)
        except Exception as error:
            failure = call.failed(error)
        else:
            call.answered(response)
            return response
        return context.abort(failure.code, failure.details)

    return answer


def _model(request: Any) -> str:
    """The model that a request of any kind names first, "" if none."""
    tasks = getattr(request, "tasks", None)
    spec = getattr(tasks[0] if tasks else request, "model_spec", None)
    return spec.name if spec is not None else ""
