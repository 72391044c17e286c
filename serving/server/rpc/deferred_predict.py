"""Predict that occupies no thread while it waits, for models whose runs are batched."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import grpc

from fovea.serving.server.admission import time_left
from fovea.serving.server.batching.batcher import expired
from fovea.serving.server.batching.runner import BatchingRunner
from fovea.serving.server.errors import ServingError
from fovea.serving.server.inference.predict import predict_response, prepare_predict
from fovea.serving.server.inference.run_signature import SignatureRun
from fovea.serving.server.lifecycle.manager import Manager, ServableHandle
from fovea.serving.server.lifecycle.model_spec import resolve, spec_of
from fovea.serving.server.rpc.calls import Call
from fovea.serving.server.rpc.threads import Reply
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.telemetry import metrics


class DeferredPredict:
    """Predict, with the response sent by the thread that ran the batch.

    Waking a thread for each response takes longer than sending the response.

    Args:
        manager: Provides the models.
        tensor_content: Whether to encode tensors as raw bytes, not in typed fields.
        threads: How many runs of versions that are not batched run at the same time.
    """

    def __init__(
        self, manager: Manager[LoadedModel], tensor_content: bool, threads: int
    ) -> None:
        self._manager = manager
        self._tensor_content = tensor_content
        self._pool = ThreadPoolExecutor(threads, "predict")

    def __call__(
        self, request: Any, context: grpc.ServicerContext, reply: Reply
    ) -> None:
        """Check a request and queue its run."""
        call = Call("PredictionService", "Predict", request, context)
        handle: ServableHandle[LoadedModel] | None = None
        try:
            name, wanted = resolve(spec_of(request), self._manager.labels)
            timeout = time_left(context)
            handle = self._manager.servable(name, wanted)
            model = handle.servable
            run = prepare_predict(model, request)
            pending = _PendingPredict(
                call, reply, handle, run, request, timeout, self._tensor_content
            )
            if isinstance(model, BatchingRunner):
                values = model.submit(run.feeds, run.fetches, timeout)
            else:  # a version that its own batching parameters exclude
                values = self._pool.submit(model.run, run.feeds, run.fetches, timeout)
        except Exception as error:
            if handle is not None:
                handle.release()
            reply.fail(call.failed(error))
            return
        values.add_done_callback(pending.finish)
        # Runs when the call ends: it cancels the run if that has not started.
        context.add_callback(values.cancel)


class _PendingPredict:
    """A request whose run is queued, and what its response needs."""

    __slots__ = (
        "_call",
        "_handle",
        "_reply",
        "_request",
        "_run",
        "_started",
        "_tensor_content",
        "_timeout",
    )

    def __init__(
        self,
        call: Call,
        reply: Reply,
        handle: ServableHandle[LoadedModel],
        run: SignatureRun,
        request: Any,
        timeout: float | None,
        tensor_content: bool,
    ) -> None:
        self._call, self._reply, self._handle = call, reply, handle
        self._run, self._request = run, request
        self._timeout, self._tensor_content = timeout, tensor_content
        self._started = time.perf_counter()

    def finish(self, values: Future[list[Any]]) -> None:
        """Send the values of the run, or its error."""
        try:
            computed = values.result()
            metrics.ran("Predict", self._request.model_spec.name, self._started)
            response = predict_response(
                self._run.arrays(computed),
                self._request.model_spec,
                self._handle.version,
                self._tensor_content,
            )
        except CancelledError:
            self._fail(self._cancellation())
        except Exception as error:
            self._fail(error)
        else:
            self._handle.release()
            self._call.succeeded(response)
            self._reply.send(response)

    def _fail(self, error: BaseException) -> None:
        self._handle.release()
        # Without the traceback, whose frames hold the arrays of the request.
        failure = self._call.failed(error).with_traceback(None)
        self._reply.fail(failure)

    def _cancellation(self) -> ServingError:
        """Return the error of a cancelled run: its client has gone or is too late."""
        passed = time.perf_counter() - self._started
        if self._timeout is None or passed < 0.9 * self._timeout:
            return ServingError(grpc.StatusCode.CANCELLED, "CANCELLED")
        return expired()
