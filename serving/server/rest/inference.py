"""Predict, Classify and Regress in JSON, by way of the functions that gRPC calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorflow_serving.apis import (
    classification_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.inference.classify import classify
from fovea.serving.server.inference.predict import predict
from fovea.serving.server.inference.regress import regress
from fovea.serving.server.inference.tensors import fill_proto, to_array
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.model_spec import resolve
from fovea.serving.server.rest import (
    json_to_examples,
    json_to_tensors,
    results_to_json,
    tensors_to_json,
)
from fovea.serving.server.rest.parse import may_hold_booleans, parse
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import signature_name

_OF_EXAMPLES: dict[str, tuple[Any, Callable[..., Any], Callable[[Any], bytes]]] = {
    "classify": (
        classification_pb2.ClassificationRequest,
        classify,
        results_to_json.classifications,
    ),
    "regress": (
        regression_pb2.RegressionRequest,
        regress,
        results_to_json.regressions,
    ),
}


def infer(
    manager: Manager[LoadedModel],
    action: str,
    spec: model_pb2.ModelSpec,
    body: bytes,
    timeout: float | None,
) -> bytes:
    """Answer the body of one request.

    What is wrong is found in the original's order: the JSON text, the name of the
    signature, for Predict the model and then the tensors, else the examples and then
    the model.

    Args:
        manager: Lends the model.
        action: "predict", "classify" or "regress".
        spec: The model that the path names; gets the name of the signature.
        body: The request in JSON.
        timeout: Seconds that the model may take, None for ever.

    Returns:
        The answer in JSON.

    Raises:
        ServingError: Any mistake in the request, or the graph failed.
    """
    document = parse(body)
    signature = json_to_tensors.signature_name(document)
    spec.signature_name = json_to_examples.to_text(signature)
    if action == "predict":
        name, wanted = resolve(spec, manager.labels)
        with manager.servable(name, wanted) as (version, runner):
            booleans = may_hold_booleans(body)
            return _predict(runner, version, spec, document, booleans, timeout)
    request_type, answer, to_json = _OF_EXAMPLES[action]
    request = request_type(model_spec=spec)
    json_to_examples.fill_input(document, request.input)
    name, wanted = resolve(spec, manager.labels)
    with manager.servable(name, wanted) as (version, runner):
        response = answer(runner, version, request, timeout)
    return to_json(response.result)


def _predict(
    runner: LoadedModel,
    version: int,
    spec: model_pb2.ModelSpec,
    document: dict[str, Any],
    booleans: bool,
    timeout: float | None,
) -> bytes:
    dtypes = _input_dtypes(runner, spec)
    arrays, by_row = json_to_tensors.inputs(document, dtypes, booleans)
    request = predict_pb2.PredictRequest(model_spec=spec)
    for alias, array in arrays.items():
        fill_proto(request.inputs[alias], array, as_content=True)
    # As raw bytes the tensors become arrays again without a copy.
    response = predict(runner, version, request, timeout, tensor_content=True)
    if not response.outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    outputs = {
        alias: to_array(response.outputs[alias]) for alias in sorted(response.outputs)
    }
    write = tensors_to_json.predictions if by_row else tensors_to_json.columns
    return write(outputs)


def _input_dtypes(runner: LoadedModel, spec: model_pb2.ModelSpec) -> dict[str, int]:
    """The DataType of every input of the signature that a request names."""
    name = signature_name(spec)
    signature = runner.signatures.get(name)
    if signature is None:
        raise invalid_argument(
            f'Serving signature name: "{name}" not found in signature def'
        )
    if not signature.inputs:
        raise invalid_argument(
            f"Failed to get input map for signature: {spec.signature_name or 'DEFAULT'}"
        )
    return {alias: info.dtype for alias, info in signature.inputs.items()}
