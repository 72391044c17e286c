"""The gRPC services, on the official stubs."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
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
from serving.server.batching.batcher import expired
from serving.server.batching.runner import BatchingRunner
from serving.server.classify import classify
from serving.server.errors import ServingError, invalid_argument
from serving.server.grpc_threads import never_waits
from serving.server.manager import Manager
from serving.server.metadata import check_fields, metadata
from serving.server.model_spec import missing_model_spec, resolve
from serving.server.models import Models
from serving.server.multi_inference import multi_inference
from serving.server.own_threads import in_own_threads
from serving.server.predict import answer, ask, predict
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
    def answering(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        watch = metrics.Watch("GRPC", method.__name__.lstrip("_"), _model(request))
        try:
            reply = method(self, request, context)
            watch.done(grpc.StatusCode.OK)
            return reply
        except Exception as error:
            failure = _told(error, method.__name__)
        watch.done(failure.code)
        return context.abort(failure.code, failure.details)

    return access_log.logged(tracing.traced(answering))


def _told(error: BaseException, method: str) -> ServingError:
    """What the client is told of an error."""
    if isinstance(error, ServingError):
        return error
    log.error("%s failed unexpectedly", method, exc_info=error)
    return ServingError(grpc.StatusCode.INTERNAL, str(error))


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


def _gone(timeout: float | None, started: float) -> ServingError:
    """What became of a request that its client gave up, as the metrics tell it."""
    if timeout is None or time.perf_counter() - started < 0.9 * timeout:
        return ServingError(grpc.StatusCode.CANCELLED, "CANCELLED")
    return expired()


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """``tensorflow.serving.PredictionService`` over the models of a manager.

    Args:
        manager: Has the models.
        tensor_content: Whether Predict answers with raw bytes, not typed fields.
        batching: Whether models are BatchingRunners. Predict then keeps no thread
            waiting.
        threads: How many of the others run Predict at the same time then.
    """

    def __init__(
        self,
        manager: Manager[Runner],
        tensor_content: bool = False,
        batching: bool = False,
        threads: int = 1,
    ) -> None:
        self._manager = manager
        self._tensor_content = tensor_content
        if batching:
            self._pool = ThreadPoolExecutor(threads, "predict")
            # In the place of the method below, which keeps its thread.
            later = never_waits(self._predict_later)
            self.Predict = later  # type: ignore[method-assign]
        self._predict = functools.partial(predict, tensor_content=tensor_content)

    @_answering
    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._infer(self._predict, request, context)

    def _predict_later(
        self, request: Any, context: grpc.ServicerContext
    ) -> Future[Any]:
        """Predict without waiting: who ran the batch writes the answers too.

        To wake a thread for each of them takes longer than to write it.
        """
        reply: Future[Any] = Future()
        began, came = time.time(), time.perf_counter()
        watch = metrics.Watch("GRPC", "Predict", _model(request))
        loan = contextlib.ExitStack()
        told = loan.enter_context(
            tracing.of_call(type(self).__name__, "Predict", context)
        )

        def end(code: grpc.StatusCode, response: Any) -> None:
            told(code, request, response)
            loan.close()
            watch.done(code)
            seconds = time.perf_counter() - came
            access_log.call("Predict", request, response, code, began, seconds, context)

        def fail(error: BaseException) -> None:
            error = _told(error, "Predict")
            end(error.code, None)
            # Without its traceback, whose frames keep the arrays of the request.
            reply.set_exception(error.with_traceback(None))

        def write(values: Future[list[Any]]) -> None:
            try:
                computed = values.result()
            except CancelledError:
                fail(_gone(timeout, started))
                return
            except Exception as error:
                fail(error)
                return
            try:
                metrics.ran("Predict", request.model_spec.name, started)
                response = answer(
                    question, computed, version, request, self._tensor_content
                )
            except Exception as error:
                fail(error)
                return
            end(grpc.StatusCode.OK, response)
            reply.set_result(response)

        try:
            name, wanted = resolve(_spec(request), self._manager.labels)
            timeout = _time_left(context)
            version, runner = loan.enter_context(self._manager.servable(name, wanted))
            question = ask(runner, request)
            started = time.perf_counter()
            run = question.feeds, list(question.outputs.values()), timeout
            if isinstance(runner, BatchingRunner):
                values = runner.submit(*run)
            else:  # a version whose own parameters leave it out
                values = self._pool.submit(runner.run, *run)
            values.add_done_callback(write)
            # When the client has gone or its deadline has passed; else in vain.
            context.add_callback(values.cancel)
        except Exception as error:
            fail(error)
        return reply

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
