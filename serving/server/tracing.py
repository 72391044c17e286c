"""A span for each request, when OpenTelemetry is installed and told where to send them.

The standard variables decide: ``OTEL_TRACES_EXPORTER`` names an exporter (``otlp``,
``console`` ...), ``OTEL_EXPORTER_OTLP_ENDPOINT`` alone means ``otlp``. Without either
nothing is imported. The caller's span comes with ``traceparent`` and ``tracestate``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc

log = logging.getLogger(__name__)

# The codes that are the server's fault, by the conventions for spans of servers.
FAULTS = {
    *(grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED),
    *(grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL),
    *(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS),
}

_tracer: Any = None


@contextlib.contextmanager
def tracing(environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Trace the requests of this process inside a ``with`` block, if so configured."""
    global _tracer
    provider = _provider(environment)
    if provider is None:
        yield
        return
    _tracer = provider.get_tracer("fovea.serving")
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()  # sends what has gathered


def _provider(environment: Mapping[str, str]) -> Any:
    endpoint = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    name = environment.get("OTEL_TRACES_EXPORTER") or ("otlp" if endpoint else "none")
    if name == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        group = "opentelemetry_traces_exporter"
        (exporter,) = importlib.metadata.entry_points(group=group, name=name)
        processor = BatchSpanProcessor(exporter.load()())
    except (ImportError, ValueError) as error:
        log.warning(
            "Requests are not traced: no exporter %r (%s); pip install "
            "'fovea[tracing]'",
            name,
            error,
        )
        return None
    service = {"service.name": environment.get("OTEL_SERVICE_NAME") or "fovea"}
    provider = TracerProvider(resource=Resource.create(service))
    provider.add_span_processor(processor)
    log.info("Requests are traced to %s", name)
    return provider


def traced(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method of a gRPC service be a span."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        if _tracer is None:
            return method(self, request, context)
        name = method.__name__.lstrip("_")
        if name == "reload":
            name = "HandleReloadConfigRequest"
        with of_call(type(self).__name__, name, context) as told:
            reply = None
            try:
                reply = method(self, request, context)
                return reply
            finally:
                code = grpc.StatusCode.OK if reply is not None else context.code()
                told(code, request, reply)

    return answer


@contextlib.contextmanager
def of_call(
    service: str, method: str, context: grpc.ServicerContext
) -> Iterator[Callable[[Any, Any, Any], None]]:
    """The span of a gRPC call.

    Yields:
        What tells of the end: the code, the request, the reply or None.
    """
    if _tracer is None:
        yield lambda code, request, reply: None
        return
    service = f"tensorflow.serving.{service}"
    about = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    headers = dict(context.invocation_metadata())
    with span(f"{service}/{method}", headers, about) as told:

        def ended(code: Any, request: Any, reply: Any) -> None:
            spec = getattr(reply, "model_spec", None)
            spec = spec or getattr(request, "model_spec", None)
            told(code, "rpc.grpc.status_code", _number(code), spec)

        yield ended


def _number(code: Any) -> int:
    return int(code.value[0]) if isinstance(code, grpc.StatusCode) else 2


@contextlib.contextmanager
def span(
    name: str, headers: Mapping[str, Any], about: Mapping[str, Any]
) -> Iterator[Callable[[Any, str, int, Any], None]]:
    """One span, a child of the one that the headers name.

    Yields:
        What tells of the end: the code, an attribute with its value, the ModelSpec.
    """
    if _tracer is None:
        yield lambda code, key, value, spec: None
        return
    from opentelemetry import trace
    from opentelemetry.trace.propagation import tracecontext

    text = {k: v for k, v in headers.items() if isinstance(v, str)}
    parent = tracecontext.TraceContextTextMapPropagator().extract(text)
    current = _tracer.start_span(
        name, context=parent, kind=trace.SpanKind.SERVER, attributes=about
    )

    def told(code: Any, key: str, value: int, spec: Any) -> None:
        current.set_attribute(key, value)
        if spec is not None and spec.name:
            current.set_attribute("fovea.model.name", spec.name)
            if spec.HasField("version"):
                current.set_attribute("fovea.model.version", spec.version.value)
        if code in FAULTS:
            current.set_status(trace.StatusCode.ERROR)

    try:
        yield told
    finally:
        current.end()
