"""A span for each request, if OpenTelemetry is installed and configured.

The standard variables decide: `OTEL_TRACES_EXPORTER` names an exporter (`otlp`,
`console` ...), `OTEL_EXPORTER_OTLP_ENDPOINT` alone means `otlp`, and
`OTEL_EXPORTER_OTLP_PROTOCOL` chooses its protocol (`grpc`). Without the first two
nothing is imported. The headers `traceparent` and `tracestate` name the caller's span.
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
    """Trace the requests of this process inside a `with` block, if so configured."""
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
        provider.shutdown()  # sends the queued spans


def _provider(environment: Mapping[str, str]) -> Any:
    endpoint = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    name = environment.get("OTEL_TRACES_EXPORTER") or ("otlp" if endpoint else "none")
    if name == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        entry = _otlp(environment) if name == "otlp" else name
        group = "opentelemetry_traces_exporter"
        (exporter,) = importlib.metadata.entry_points(group=group, name=entry)
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


def _otlp(environment: Mapping[str, str]) -> str:
    """Return the entry point of the exporter for OTLP's protocol, as the SDK does."""
    protocol = (
        environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "grpc"
    )
    return {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}.get(
        protocol, protocol
    )


def grpc_span(
    service: str, method: str, context: grpc.ServicerContext
) -> Callable[[Any, Any, Any], None] | None:
    """Start the span of a gRPC call.

    Returns:
        A function that ends the span; it takes the code, the request, and the response
        or None. None if requests are not traced.
    """
    if _tracer is None:
        return None
    service = f"tensorflow.serving.{service}"
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    headers = dict(context.invocation_metadata())
    current = _start(f"{service}/{method}", headers, attributes)

    def end(code: Any, request: Any, response: Any) -> None:
        spec = getattr(response, "model_spec", None)
        spec = spec or getattr(request, "model_spec", None)
        _set_outcome(current, code, "rpc.grpc.status_code", _number(code), spec)
        current.end()

    return end


def _number(code: Any) -> int:
    return int(code.value[0]) if isinstance(code, grpc.StatusCode) else 2


@contextlib.contextmanager
def span(
    name: str, headers: Mapping[str, Any], attributes: Mapping[str, Any]
) -> Iterator[Callable[[Any, str, int, Any], None]]:
    """Keep a span open inside a `with` block, a child of the one that headers name.

    Yields:
        A function that sets the outcome; it takes the code, an attribute with its
        value, and the ModelSpec.
    """
    if _tracer is None:
        yield lambda code, key, value, spec: None
        return
    current = _start(name, headers, attributes)
    try:
        yield functools.partial(_set_outcome, current)
    finally:
        current.end()


def _start(name: str, headers: Mapping[str, Any], attributes: Mapping[str, Any]) -> Any:
    from opentelemetry import trace
    from opentelemetry.trace.propagation import tracecontext

    text = {k: v for k, v in headers.items() if isinstance(v, str)}
    parent = tracecontext.TraceContextTextMapPropagator().extract(text)
    return _tracer.start_span(
        name, context=parent, kind=trace.SpanKind.SERVER, attributes=attributes
    )


def _set_outcome(current: Any, code: Any, key: str, value: int, spec: Any) -> None:
    from opentelemetry import trace

    current.set_attribute(key, value)
    if spec is not None and spec.name:
        current.set_attribute("fovea.model.name", spec.name)
        if spec.HasField("version"):
            current.set_attribute("fovea.model.version", spec.version.value)
    if code in FAULTS:
        current.set_status(trace.StatusCode.ERROR)
