"""Classify: tf.Examples in, a list of labels and scores for each out."""

from __future__ import annotations

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.inference.examples import run_examples
from fovea.serving.server.inference.tensors import data_type, shape_string
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import (
    CLASSIFY_METHOD,
    debug_string,
    fill_spec,
    find_signature,
)
from fovea.serving.server.telemetry import metrics

INPUTS = "inputs"
CLASSES = "classes"
SCORES = "scores"


def classify(
    runner: LoadedModel,
    version: int,
    request: classification_pb2.ClassificationRequest,
    timeout: float | None = None,
) -> classification_pb2.ClassificationResponse:
    """Answer a Classify request with a loaded model.

    The checks, their order and their texts are those of TF Serving's
    ``classifier.cc``.

    Args:
        runner: The loaded model.
        version: Its version, for the answer.
        request: What the client sent.
        timeout: Seconds that are left for it.

    Raises:
        ServingError: The request or the signature does not fit, or the graph failed.
    """
    signature = find_signature(runner.signatures, request.model_spec)
    input_name, output_names = classification_tensors(
        signature, runner.check_method_names
    )
    with metrics.runtime("Classify", request.model_spec.name):
        count, outputs = run_examples(
            runner, request.input, [input_name], output_names, timeout
        )
    metrics.examples(request.model_spec.name, count)
    response = classification_pb2.ClassificationResponse()
    fill_spec(response.model_spec, request.model_spec, version)
    fill_classifications(response.result, signature, count, outputs)
    return response


def classification_tensors(
    signature: meta_graph_pb2.SignatureDef, check_method_name: bool
) -> tuple[str, list[str]]:
    """The tensor that takes the examples, and those of the classes and scores.

    Raises:
        ServingError: The signature is not one of a classifier.
    """
    if check_method_name and signature.method_name != CLASSIFY_METHOD:
        raise invalid_argument(
            f"Expected classification signature method_name to be {CLASSIFY_METHOD}. "
            f"Was: {signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid_argument(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    if INPUTS not in signature.inputs:
        raise invalid_argument(
            f"No classification inputs found in SignatureDef: {debug_string(signature)}"
        )
    aliases = [alias for alias in (CLASSES, SCORES) if alias in signature.outputs]
    if not aliases:
        raise invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature was: {debug_string(signature)}'
        )
    names = [signature.outputs[alias].name for alias in aliases]
    return signature.inputs[INPUTS].name, names


def fill_classifications(
    result: classification_pb2.ClassificationResult,
    signature: meta_graph_pb2.SignatureDef,
    count: int,
    outputs: dict[str, np.ndarray],
) -> None:
    """Write what the graph computed into an empty result.

    Args:
        result: The message to fill.
        signature: The signature that was run.
        count: How many examples there were.
        outputs: Arrays by the names of their tensors.

    Raises:
        ServingError: The arrays are not ``[count, number of classes]``, or not of
            strings and floats.
    """
    classes = _checked(signature, CLASSES, types_pb2.DT_STRING, count, outputs)
    scores = _checked(signature, SCORES, types_pb2.DT_FLOAT, count, outputs)
    widths = [array.shape[1] for array in (classes, scores) if array is not None]
    if len(set(widths)) > 1:
        raise invalid_argument(
            "Tensors class and score should match in dim_size(1). Got "
            f"{widths[0]} vs. {widths[1]}"
        )
    for row in range(count):
        entries = result.classifications.add().classes
        for column in range(widths[0]):
            entry = entries.add()
            if classes is not None:
                entry.label = _text(classes[row, column])
            if scores is not None:
                entry.score = float(scores[row, column])


def _checked(
    signature: meta_graph_pb2.SignatureDef,
    alias: str,
    expected: int,
    count: int,
    outputs: dict[str, np.ndarray],
) -> np.ndarray | None:
    if alias not in signature.outputs:
        return None
    array = outputs[signature.outputs[alias].name]
    if array.ndim != 2:
        raise invalid_argument(
            "Expected Tensor shape: [batch_size num_classes] but got "
            f"{shape_string(array)}"
        )
    if data_type(array) != expected:
        raise invalid_argument(
            f"Expected {alias} Tensor of {types_pb2.DataType.Name(expected)}. "
            f"Got: {types_pb2.DataType.Name(data_type(array))}"
        )
    if len(array) != count:
        raise invalid_argument(
            f"Expected {alias} output batch size of {count}. Got: {len(array)}"
        )
    return array


def _text(label: bytes) -> str:
    try:
        return label.decode()
    except UnicodeDecodeError:
        raise ServingError(
            grpc.StatusCode.INTERNAL, f"The label {label!r} is not UTF-8"
        ) from None
