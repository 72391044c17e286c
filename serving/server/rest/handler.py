"""One REST request to its reply, independent of the HTTP library."""

from __future__ import annotations

import logging
import re
import time

import grpc
from prometheus_client import CONTENT_TYPE_LATEST

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.inference.model_metadata import metadata
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.model_spec import resolve
from fovea.serving.server.lifecycle.status import status
from fovea.serving.server.rest.encoding import proto_to_json
from fovea.serving.server.rest.encoding.pretty import error_body
from fovea.serving.server.rest.inference import infer
from fovea.serving.server.rest.messages import (
    Headers,
    Reply,
    Request,
    decompressed,
    error_page,
    http_status,
)
from fovea.serving.server.rest.routes import BadVersion, Route, is_api, route
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.telemetry import access_log, metrics, metrics_pages, tracing

log = logging.getLogger(__name__)

JSON_TYPE = "application/json"
PAGE_TYPE = "text/html; charset=ISO-8859-1"

_CORS: Headers = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, GET"),
    ("Access-Control-Allow-Headers", "Content-Type"),
]
_ORIGIN = re.compile("https?://")

METRICS_PATH = "/metrics"
METRICS_TYPE = CONTENT_TYPE_LATEST

METHODS = {"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"}

# The gRPC methods of the actions.
_METHODS = {
    "predict": "Predict",
    "classify": "Classify",
    "regress": "Regress",
    "status": "GetModelStatus",
    "metadata": "GetModelMetadata",
}


class Handler:
    """Handles REST requests with the models of a manager.

    Args:
        manager: Provides the models.
        timeout: Seconds that a model may take for one request, None for no limit; a
            request that has waited so long for a thread is refused.
        cors: Whether pages of other origins may read the replies.
        metrics_path: The path of TensorFlow Serving's metrics page, "" for none.
    """

    def __init__(
        self,
        manager: Manager[LoadedModel],
        timeout: float | None = None,
        cors: bool = False,
        metrics_path: str = "",
    ) -> None:
        self._manager = manager
        self._timeout = timeout
        self._cors = cors
        self._metrics_path = metrics_path
        self._usual_metrics = metrics_pages.conventional(manager.available)

    def __call__(self, request: Request) -> Reply:
        """Return the reply; no error is raised."""
        if request.method not in METHODS:
            return error_page(501)
        path = request.target.partition("?")[0]
        if path == self._metrics_path:
            return self._metrics(request.target)
        if path == METRICS_PATH:
            return Reply(200, [("Content-Type", METRICS_TYPE)], self._usual_metrics())
        if not is_api(request.target):
            return error_page(404)
        if request.method == "OPTIONS":
            code = 200 if _ORIGIN.search(request.headers.get("origin", "")) else 400
            headers = [("Content-Type", PAGE_TYPE), *self._cors_headers()]
            return Reply(code, headers, b"")
        try:
            found = route(request.method, request.target)
            attributes = {
                "http.request.method": request.method,
                "url.path": request.target.partition("?")[0],
            }
            name = f"{request.method} {_METHODS[found.action]}"
            with tracing.span(name, request.headers, attributes) as set_outcome:
                code, body = self._measured(found, request)
                fault = grpc.StatusCode.INTERNAL if code >= 500 else None
                set_outcome(fault, "http.response.status_code", code, found.spec)
        except BadVersion:
            code, body = 400, b""
        except ServingError as error:
            code, body = http_status(error.code), error_body(error.message)
        if request.method == "HEAD":
            body = b""
        headers = [("Content-Type", JSON_TYPE), *self._cors_headers()]
        return Reply(code, headers, body)

    def _cors_headers(self) -> Headers:
        return _CORS if self._cors else []

    def _metrics(self, target: str) -> Reply:
        headers = [("Content-Type", "text/plain")]
        if target == self._metrics_path:
            return Reply(200, headers, metrics_pages.tf_serving())
        mistake = f"Unexpected path: {target}. Should be {self._metrics_path}"
        return Reply(400, headers, mistake.encode())

    def _measured(self, found: Route, request: Request) -> tuple[int, bytes]:
        """Handle a request to the API; count and log it.

        Returns:
            The HTTP status and the body.
        """
        method = _METHODS[found.action]
        watch = metrics.Watch("REST", method, found.spec.name)
        try:
            body = self._handle(found, request)
            watch.done(grpc.StatusCode.OK)
            _log(method, found, request, grpc.StatusCode.OK)
            return 200, body
        except ServingError as error:
            failure = error
        except Exception as error:
            log.exception("%s %s failed unexpectedly", request.method, request.target)
            failure = ServingError(grpc.StatusCode.INTERNAL, str(error))
        watch.done(failure.code)
        _log(method, found, request, failure.code)
        return http_status(failure.code), error_body(failure.message)

    def _handle(self, found: Route, request: Request) -> bytes:
        action, spec = found.action, found.spec
        if action in ("status", "metadata") and not spec.name:
            raise invalid_argument("Missing model name in request.")
        if action == "status":
            versions = self._manager.statuses(spec.name)
            return proto_to_json.status(status(spec, versions))
        if action == "metadata":
            name, number = resolve(spec, self._manager.labels)
            with self._manager.servable(name, number) as (version, model):
                return proto_to_json.metadata(metadata(model, name, version))
        self._refuse_expired(request)
        return infer(self._manager, action, spec, decompressed(request), self._timeout)

    def _refuse_expired(self, request: Request) -> None:
        """Refuse a request whose time has passed: it would only delay others."""
        waited = time.monotonic() - request.arrived
        if self._timeout is not None and waited > self._timeout:
            raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


def _log(method: str, wanted: Route, request: Request, code: grpc.StatusCode) -> None:
    """Log a request that has ended, its wait for a thread included."""
    spec = wanted.spec
    access_log.add(
        "REST",
        method,
        model=spec.name,
        version=spec.version.value if spec.HasField("version") else None,
        code=code,
        seconds=time.monotonic() - request.arrived,
        peer=request.peer,
        request_bytes=len(request.body),
        traceparent=request.headers.get("traceparent", ""),
    )
