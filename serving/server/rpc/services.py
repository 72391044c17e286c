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

from fovea.serving.server.admission import time_left
from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.inference.classify import classify
from fovea.serving.server.inference.model_metadata import check_fields, metadata
from fovea.serving.server.inference.multi_inference import multi_inference
from fovea.serving.server.inference.predict import predict
from fovea.serving.server.inference.regress import regress
from fovea.serving.server.lifecycle.configured import Models
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.model_spec import resolve, spec_of
from fovea.serving.server.lifecycle.status import status
from fovea.serving.server.rpc.calls import answering
from fovea.serving.server.rpc.deferred_predict import PredictLater
from fovea.serving.server.rpc.own_threads import in_own_threads
from fovea.serving.server.rpc.threads import non_blocking
from fovea.serving.server.saved_model.interface import LoadedModel

log = logging.getLogger(__name__)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """``tensorflow.serving.PredictionService`` over the models of a manager.

    Args:
        manager: Has the models.
        tensor_content: Whether Predict answers with raw bytes, not typed fields.
        batching: Whether models are BatchingRunners; Predict then keeps no thread.
        threads: How many of the others run Predict at the same time then.
    """

    def __init__(
        self,
        manager: Manager[LoadedModel],
        tensor_content: bool = False,
        batching: bool = False,
        threads: int = 1,
    ) -> None:
        self._manager = manager
        self._tensor_content = tensor_content
        if batching:
            # In the place of the method below, which keeps its thread.
            later = PredictLater(manager, tensor_content, threads)
            self.Predict = non_blocking(later)  # type: ignore[method-assign]
        self._predict = functools.partial(predict, tensor_content=tensor_content)

    @answering
    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._infer(self._predict, request, context)

    @answering
    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._infer(classify, request, context)

    @answering
    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._infer(regress, request, context)

    @answering
    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:
        # The first task names the model; that there is none is told as no name.
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        return self._run(multi_inference, spec, request, context)

    def _infer(
        self, infer: Callable[..., Any], request: Any, context: grpc.ServicerContext
    ) -> Any:
        return self._run(infer, spec_of(request), request, context)

    def _run(
        self,
        infer: Callable[..., Any],
        spec: model_pb2.ModelSpec,
        request: Any,
        context: grpc.ServicerContext,
    ) -> Any:
        name, wanted = resolve(spec, self._manager.labels)
        timeout = time_left(context)
        with self._manager.servable(name, wanted) as (version, runner):
            return infer(runner, version, request, timeout)

    @answering
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        spec = spec_of(request)
        check_fields(request)
        name, wanted = resolve(spec, self._manager.labels)
        with self._manager.servable(name, wanted) as (version, runner):
            return metadata(runner, name, version)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """``tensorflow.serving.ModelService`` over the models of a manager."""

    def __init__(self, manager: Manager[LoadedModel], models: Models) -> None:
        self._manager = manager
        self._models = models
        # A reload may wait for minutes, and one has to wait for the other.
        alone = in_own_threads(self.HandleReloadConfigRequest, 1, "reload")
        self.HandleReloadConfigRequest = alone  # type: ignore[method-assign]

    @answering
    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        spec = spec_of(request)
        return status(spec, self._manager.statuses(spec.name))

    @answering
    def HandleReloadConfigRequest(
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
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
