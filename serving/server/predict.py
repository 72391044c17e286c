"""Predict: check a request against its signature, run it, pack the answer."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.server.errors import ServingError, invalid_argument
from serving.server.runner import Runner
from serving.server.tensors import fill_proto, to_array

DEFAULT_SIGNATURE = "serving_default"


def predict(
    runner: Runner,
    version: int,
    request: predict_pb2.PredictRequest,
    timeout: float | None = None,
) -> predict_pb2.PredictResponse:
    """Answer a Predict request with a loaded model.

    The checks, their order and their texts are those of TF Serving's
    ``predict_util.cc``. Shapes are not checked: the graph does that.

    Args:
        runner: The loaded model.
        version: Its version, for the answer.
        request: What the client sent.
        timeout: Seconds that are left for it.

    Raises:
        ServingError: The request does not fit, or the graph failed.
    """
    signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = runner.signatures.get(signature_name)
    if signature is None:
        raise ServingError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{signature_name}" not found.',
        )
    feeds = _feeds(signature, request)
    aliases = _output_aliases(signature, request.output_filter)
    fetches = [signature.outputs[alias].name for alias in aliases]
    values = runner.run(feeds, fetches, timeout)

    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    response.model_spec.signature_name = signature_name
    for alias, value in zip(aliases, values, strict=True):
        try:
            fill_proto(response.outputs[alias], value)
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
