"""The gRPC services, on the official stubs."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import (
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server import access_log, metrics, tracing
from serving.server.admission import check_wait
from serving.server.classify import classify
from serving.server.errors import ServingError, invalid_argument
from serving.server.manager import Manager
from serving.server.metadata import check_fields, metadata
from serving.server.model_spec import missing_model_spec, resolve
from serving.server.models import Models
from serving.server.multi_inference import multi_inference
from serving.server.own_threads import in_own_threads
from serving.server.predict import predict
from serving.server.regress import regress
from serving.server.runner import Runner
from serving.server.status import status

log = logging.getLogger(__name__)

# Deadlines further off than this are none.
_FOREVER = 10**7

Method = Callable[[Any, Any, grpc.ServicerContext], Any]


def _answering(method: Method) -> Method:
    """Let a method raise ServingError, and no client see any other exception."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        watch = metrics.Watch("GRPC", method.__name__.lstrip("_"), _model(request))
        try:
            reply = method(self, request, context)
            watch.done(grpc.StatusCode.OK)
            return reply
        except ServingError as error:
            failure = error
        except Exception as error:
            log.exception("%s failed unexpectedly", method.__name__)
            failure = ServingError(grpc.StatusCode.INTERNAL, str(error))
        watch.done(failure.code)
        return context.abort(failure.code, failure.details)

    return access_log.logged(tracing.traced(answer))


def _model(request: Any) -> str:
    """The model that a request of any kind names first, "" if none."""
    tasks = getattr(request, "tasks", None)
    spec = getattr(tasks[0] if tasks else request, "model_spec", None)
    return spec.name if spec is not None else ""


def _spec(request: Any) -> model_pb2.ModelSpec:
    """The ModelSpec of a request, which must have one."""
    if not request.HasField("model_spec"):
        raise missing_model_spec()
    return request.model_spec


def _time_left(context: grpc.ServicerContext) -> float | None:
    """Seconds until the client's deadline, None without one.

    Raises:
        ServingError: It has passed, or will have: what nobody waits for is not run.
    """
    left = context.time_remaining()
    if left is None or left > _FOREVER:
        return None
    if left <= 0:
        raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    check_wait(left)
    return left


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """``tensorflow.serving.PredictionService`` over the models of a manager.

    Args:
        manager: Has the models.
        tensor_content: Whether Predict answers with raw bytes, not typed fields.
    """

    def __init__(self, manager: Manager[Runner], tensor_content: bool = False) -> None:
        self._manager = manager
        self._predict = functools.partial(predict, tensor_content=tensor_content)

    @_answering
    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._infer(self._predict, request, context)

    @_answering
    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._infer(classify, request, context)

    @_answering
    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._infer(regress, request, context)

    @_answering
    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:
        # The first task names the model; that there is none is told as no name.
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        return self._run(multi_inference, spec, request, context)

    def _infer(
        self, infer: Callable[..., Any], request: Any, context: grpc.ServicerContext
    ) -> Any:
        return self._run(infer, _spec(request), request, context)

    def _run(
        self,
        infer: Callable[..., Any],
        spec: model_pb2.ModelSpec,
        request: Any,
        context: grpc.ServicerContext,
    ) -> Any:
        name, wanted = resolve(spec, self._manager.labels)
        timeout = _time_left(context)
        with self._manager.servable(name, wanted) as (version, runner):
            return infer(runner, version, request, timeout)

    @_answering
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        spec = _spec(request)
        check_fields(request)
        name, wanted = resolve(spec, self._manager.labels)
        with self._manager.servable(name, wanted) as (version, runner):
            return metadata(runner, name, version)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """``tensorflow.serving.ModelService`` over the models of a manager."""

    def __init__(self, manager: Manager[Runner], models: Models) -> None:
        self._manager = manager
        self._models = models
        # A reload may wait for minutes, and one has to wait for the other.
        self.HandleReloadConfigRequest = in_own_threads(self._reload, 1, "reload")

    @_answering
    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        spec = _spec(request)
        return status(spec, self._manager.statuses(spec.name))

    @_answering
    def _reload(self, request: Any, context: grpc.ServicerContext) -> Any:
        if not request.config.HasField("model_config_list"):
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        try:
            self._models.apply(request.config, still_wanted=context.is_active)
        except ServingError as error:
            log.error("ReloadConfig failed: %s", error)
            raise
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        return response
