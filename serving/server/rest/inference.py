"""Predict, Classify and Regress as REST encodes them, around the inference core."""

from __future__ import annotations

from typing import Any

from tensorflow_serving.apis import model_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.inference.classification import classify_examples
from fovea.serving.server.inference.examples import measured
from fovea.serving.server.inference.regression import regress_examples
from fovea.serving.server.inference.run_signature import run_signature
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.model_spec import resolve
from fovea.serving.server.rest.encoding import (
    json_to_examples,
    json_to_tensors,
    results_to_json,
    tensors_to_json,
)
from fovea.serving.server.rest.encoding.parse import may_hold_booleans, parse
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import signature_name
from fovea.serving.server.telemetry import metrics


def infer(
    manager: Manager[LoadedModel],
    action: str,
    spec: model_pb2.ModelSpec,
    body: bytes,
    timeout: float | None,
) -> bytes:
    """Return the response to the body of one request.

    Mistakes are found in TensorFlow Serving's order: the JSON text, the name of the
    signature, for Predict the model and then the tensors, else the examples and then
    the model.

    Args:
        manager: Lends the model.
        action: `predict`, `classify` or `regress`.
        spec: The model that the path names; gets the name of the signature.
        body: The request in JSON.
        timeout: Seconds that the model may take; None for no limit.

    Returns:
        The response in JSON.

    Raises:
        ServingError: Any mistake in the request, or the graph failed.
    """
    document = parse(body)
    signature = json_to_tensors.requested_signature(document)
    spec.signature_name = json_to_examples.to_text(signature)
    if action == "predict":
        name, wanted = resolve(spec, manager.labels)
        with manager.servable(name, wanted) as (_, model):
            return _predict(model, spec, document, may_hold_booleans(body), timeout)
    examples = json_to_examples.serialized_examples(document)
    name, wanted = resolve(spec, manager.labels)
    with manager.servable(name, wanted) as (_, model):
        signature = signature_name(spec)
        if action == "classify":
            timer = measured("Classify", name, examples)
            return results_to_json.classifications(
                classify_examples(model, signature, examples, timeout, timer)
            )
        timer = measured("Regress", name, examples)
        return results_to_json.regressions(
            regress_examples(model, signature, examples, timeout, timer)
        )


def _predict(
    model: LoadedModel,
    spec: model_pb2.ModelSpec,
    document: dict[str, Any],
    booleans: bool,
    timeout: float | None,
) -> bytes:
    dtypes = _input_dtypes(model, spec)
    arrays, by_row = json_to_tensors.inputs(document, dtypes, booleans)
    timer = metrics.runtime("Predict", spec.name)
    outputs = run_signature(
        model, signature_name(spec), arrays, timeout=timeout, timer=timer
    )
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    encode = tensors_to_json.predictions if by_row else tensors_to_json.columns
    return encode(outputs)


def _input_dtypes(model: LoadedModel, spec: model_pb2.ModelSpec) -> dict[str, int]:
    """Return the DataType of every input of the signature that a request names."""
    name = signature_name(spec)
    signature = model.signatures.get(name)
    if signature is None:
        raise invalid_argument(
            f'Serving signature name: "{name}" not found in signature def'
        )
    if not signature.inputs:
        raise invalid_argument(
            f"Failed to get input map for signature: {spec.signature_name or 'DEFAULT'}"
        )
    return {alias: info.dtype for alias, info in signature.inputs.items()}
