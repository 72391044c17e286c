"""Predict that keeps no thread waiting, for models whose runs are put together."""

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
from fovea.serving.server.lifecycle.manager import Loan, Manager
from fovea.serving.server.lifecycle.model_spec import resolve, spec_of
from fovea.serving.server.rpc.calls import Call
from fovea.serving.server.rpc.threads import Reply
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.telemetry import metrics


class DeferredPredict:
    """Predict, answered by the thread that ran the batch.

    To wake a thread for each answer takes longer than to write it.

    Args:
        manager: Has the models.
        tensor_content: Whether to answer with raw bytes, not typed fields.
        threads: How many versions that are not batched run at the same time.
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
        """Begin to answer a request."""
        call = Call("PredictionService", "Predict", request, context)
        loan: Loan[LoadedModel] | None = None
        try:
            name, wanted = resolve(spec_of(request), self._manager.labels)
            timeout = time_left(context)
            loan = self._manager.servable(name, wanted)
            run = prepare_predict(loan.servable, request)
            later = _Later(
                call, reply, loan, run, request, timeout, self._tensor_content
            )
            if isinstance(loan.servable, BatchingRunner):
                values = loan.servable.submit(run.feeds, run.fetches, timeout)
            else:  # a version whose own parameters leave it out
                values = self._pool.submit(
                    loan.servable.run, run.feeds, run.fetches, timeout
                )
        except Exception as error:
            if loan is not None:
                loan.give_back()
            reply.fail(call.failed(error))
            return
        values.add_done_callback(later.write)
        # When the client has gone or its deadline has passed; else in vain.
        context.add_callback(values.cancel)


class _Later:
    """What is needed to answer a request when the graph has run."""

    __slots__ = (
        "_call",
        "_loan",
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
        loan: Loan[LoadedModel],
        run: SignatureRun,
        request: Any,
        timeout: float | None,
        tensor_content: bool,
    ) -> None:
        self._call, self._reply, self._loan = call, reply, loan
        self._run, self._request = run, request
        self._timeout, self._tensor_content = timeout, tensor_content
        self._started = time.perf_counter()

    def write(self, values: Future[list[Any]]) -> None:
        """Answer with what the graph computed, or with what became of the run."""
        try:
            computed = values.result()
            metrics.ran("Predict", self._request.model_spec.name, self._started)
            response = predict_response(
                self._run.arrays(computed),
                self._request.model_spec,
                self._loan.version,
                self._tensor_content,
            )
        except CancelledError:
            self._fail(self._gone())
        except Exception as error:
            self._fail(error)
        else:
            self._loan.give_back()
            self._call.succeeded(response)
            self._reply.send(response)

    def _fail(self, error: BaseException) -> None:
        self._loan.give_back()
        # Without its traceback, whose frames keep the arrays of the request.
        failure = self._call.failed(error).with_traceback(None)
        self._reply.fail(failure)

    def _gone(self) -> ServingError:
        """What became of a request that its client gave up, as the metrics tell it."""
        passed = time.perf_counter() - self._started
        if self._timeout is None or passed < 0.9 * self._timeout:
            return ServingError(grpc.StatusCode.CANCELLED, "CANCELLED")
        return expired()
