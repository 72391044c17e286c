"""Predict: check a request against its signature, run it, pack the answer."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.server import metrics
from serving.server.errors import ServingError, invalid_argument
from serving.server.runner import Runner
from serving.server.signatures import (
    CLASSIFY_METHOD,
    PREDICT_METHOD,
    REGRESS_METHOD,
    fill_spec,
    signature_name,
)
from serving.server.tensors import fill_proto, to_array

_METHODS = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)


def predict(
    runner: Runner,
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
    feeds = _feeds(signature, request)
    aliases = _output_aliases(signature, request.output_filter)
    fetches = [signature.outputs[alias].name for alias in aliases]
    with metrics.runtime("Predict", request.model_spec.name):
        values = runner.run(feeds, fetches, timeout)

    response = predict_pb2.PredictResponse()
    fill_spec(response.model_spec, request.model_spec, version)
    for alias, value in zip(aliases, values, strict=True):
        try:
            fill_proto(response.outputs[alias], value, tensor_content)
        except ValueError as error:
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, str(error)) from None
    return response


def _feeds(
    signature: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest
) -> dict[str, np.ndarray]:
    given, wanted = request.inputs, signature.inputs
    if len(given) > len(wanted) or (
        len(given) < len(wanted) and not signature.defaults
    ):
        raise invalid_argument(
            f"input size does not match signature: {len(given)}!={len(wanted)} "
            f"len({_names(given)}) != len({_names(wanted)}). "
            f"Sent extra: {_names(set(given) - set(wanted))}. "
            f"Missing but required: {_names(set(wanted) - set(given))}."
        )
    feeds = {}
    for alias in sorted(wanted):
        name = wanted[alias].name
        if alias in given:
            proto = given[alias]
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
    used = [alias for alias in sorted(given) if alias in wanted]
    if len(used) != len(given):
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {','.join(used)}, "
            f"request input: {','.join(sorted(given))}"
        )
    return feeds


def _output_aliases(
    signature: meta_graph_pb2.SignatureDef, output_filter: Iterable[str]
) -> list[str]:
    aliases: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs "
                f"expected to be in the set {_names(signature.outputs)}."
            )
        if alias in aliases:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        aliases.append(alias)
    return aliases or sorted(signature.outputs)


def _names(aliases: Iterable[str]) -> str:
    return f"{{{','.join(sorted(aliases))}}}"
