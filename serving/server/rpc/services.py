"""The gRPC services, based on the official stubs."""

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
from fovea.serving.server.lifecycle.configured import ConfiguredModels
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.model_spec import resolve, spec_of
from fovea.serving.server.lifecycle.status import status
from fovea.serving.server.rpc.calls import reporting_errors
from fovea.serving.server.rpc.deferred_predict import DeferredPredict
from fovea.serving.server.rpc.own_threads import in_own_threads
from fovea.serving.server.rpc.threads import non_blocking
from fovea.serving.server.saved_model.interface import LoadedModel

log = logging.getLogger(__name__)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`tensorflow.serving.PredictionService` for the models of a manager.

    Args:
        manager: Provides the models.
        tensor_content: Whether Predict encodes tensors as raw bytes, not in typed
            fields.
        batching: Whether models are BatchingRunners; Predict then occupies no thread.
        threads: With `batching`, how many runs of other models Predict runs at the same
            time.
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
            # Replaces the method below, which occupies its thread.
            deferred = DeferredPredict(manager, tensor_content, threads)
            self.Predict = non_blocking(deferred)  # type: ignore[method-assign]
        self._predict = functools.partial(predict, tensor_content=tensor_content)

    @reporting_errors
    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Run a signature on tensors."""
        return self._infer(self._predict, request, context)

    @reporting_errors
    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the classes of tf.Examples with their scores."""
        return self._infer(classify, request, context)

    @reporting_errors
    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return one value for each tf.Example."""
        return self._infer(regress, request, context)

    @reporting_errors
    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Classify and regress the same tf.Examples."""
        # The first task names the model; without one, the error is a missing name.
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

    @reporting_errors
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the signatures of a model."""
        spec = spec_of(request)
        check_fields(request)
        name, wanted = resolve(spec, self._manager.labels)
        with self._manager.servable(name, wanted) as (version, runner):
            return metadata(runner, name, version)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """`tensorflow.serving.ModelService` for the models of a manager."""

    def __init__(self, manager: Manager[LoadedModel], models: ConfiguredModels) -> None:
        self._manager = manager
        self._models = models
        # A reload may take minutes, and reloads run one after the other.
        alone = in_own_threads(self.HandleReloadConfigRequest, 1, "reload")
        self.HandleReloadConfigRequest = alone  # type: ignore[method-assign]

    @reporting_errors
    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the states of a model's versions."""
        spec = spec_of(request)
        return status(spec, self._manager.statuses(spec.name))

    @reporting_errors
    def HandleReloadConfigRequest(
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        """Serve the models of another config."""
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
