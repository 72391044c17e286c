"""Predict: check a request against its signature, run it, pack the answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.inference.tensors import fill_proto, to_array
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import (
    CLASSIFY_METHOD,
    PREDICT_METHOD,
    REGRESS_METHOD,
    Tensors,
    fill_spec,
    signature_name,
)
from fovea.serving.server.telemetry import metrics

_METHODS = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)


def predict(
    runner: LoadedModel,
    version: int,
    request: predict_pb2.PredictRequest,
    timeout: float | None = None,
    *,
    tensor_content: bool = False,
) -> predict_pb2.PredictResponse:
    """Answer a Predict request with a loaded model.

    The checks, their order and their texts are those of TF Serving's
    ``predict_util.cc``. Shapes are not checked: the graph does that.

    Args:
        runner: The loaded model.
        version: Its version, for the answer.
        request: What the client sent.
        timeout: Seconds that are left for it.
        tensor_content: Whether the answer's tensors are raw bytes, not typed fields.

    Raises:
        ServingError: The request does not fit, or the graph failed.
    """
    question = ask(runner, request)
    started = time.perf_counter()
    values = runner.run(question.feeds, list(question.outputs.values()), timeout)
    metrics.ran("Predict", request.model_spec.name, started)
    return answer(question, values, version, request, tensor_content)


@dataclass(frozen=True)
class Question:
    """What a request asks of the graph.

    Attributes:
        feeds: Arrays by the names of the tensors that they replace.
        outputs: The wanted outputs, alias and tensor, in their order.
    """

    feeds: dict[str, np.ndarray]
    outputs: dict[str, str]


def ask(runner: LoadedModel, request: predict_pb2.PredictRequest) -> Question:
    """Check a request, and read its tensors.

    Raises:
        ServingError: The request does not fit.
    """
    name = signature_name(request.model_spec)
    signature = runner.signatures.get(name)
    if signature is None:
        raise ServingError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{name}" not found.',
        )
    if runner.check_method_names and signature.method_name not in _METHODS:
        raise ServingError(
            grpc.StatusCode.INTERNAL,
            "Expected prediction signature method_name to be one of "
            f"{{{', '.join(_METHODS)}}}. Was: {signature.method_name}",
        )
    tensors = runner.signatures.tensors(name)
    feeds = _feeds(signature, tensors, request)
    if request.output_filter:
        return Question(feeds, _filtered(tensors.outputs, request.output_filter))
    return Question(feeds, tensors.outputs)


def answer(
    question: Question,
    values: Sequence[Any],
    version: int,
    request: predict_pb2.PredictRequest,
    tensor_content: bool = False,
) -> predict_pb2.PredictResponse:
    """Pack what the graph computed.

    Raises:
        ServingError: UNIMPLEMENTED, for a dtype that cannot be sent.
    """
    response = predict_pb2.PredictResponse()
    fill_spec(response.model_spec, request.model_spec, version)
    for alias, value in zip(question.outputs, values, strict=True):
        try:
            fill_proto(response.outputs[alias], value, tensor_content)
        except ValueError as error:
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, str(error)) from None
    return response


def _feeds(
    signature: meta_graph_pb2.SignatureDef,
    tensors: Tensors,
    request: predict_pb2.PredictRequest,
) -> dict[str, np.ndarray]:
    given, wanted = request.inputs, tensors.inputs
    if len(given) != len(wanted) and (
        len(given) > len(wanted) or not signature.defaults
    ):
        raise invalid_argument(
            f"input size does not match signature: {len(given)}!={len(wanted)} "
            f"len({_names(given)}) != len({_names(wanted)}). "
            f"Sent extra: {_names(set(given) - set(wanted))}. "
            f"Missing but required: {_names(set(wanted) - set(given))}."
        )
    feeds = {}
    used = 0
    for alias, name in wanted.items():
        if alias in given:
            proto = given[alias]
            used += 1
        elif alias in signature.defaults:
            proto = signature.defaults[alias]
        else:
            defaults = ",".join(sorted(signature.defaults))
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {name}) not found in "
                "request and no default value provided. Inputs expected to be in the "
                f"request {_names(given)}, or default input alias set: {defaults}"
            )
        try:
            feeds[name] = to_array(proto)
        except (ValueError, MemoryError):
            raise invalid_argument(f"tensor parsing error: {alias}") from None
    if used != len(given):
        right = [alias for alias in sorted(given) if alias in wanted]
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {','.join(right)}, "
            f"request input: {','.join(sorted(given))}"
        )
    return feeds


def _filtered(outputs: dict[str, str], aliases: Iterable[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for alias in aliases:
        if alias not in outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs "
                f"expected to be in the set {_names(outputs)}."
            )
        if alias in chosen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        chosen[alias] = outputs[alias]
    return chosen


def _names(aliases: Iterable[str]) -> str:
    return f"{{{','.join(sorted(aliases))}}}"
