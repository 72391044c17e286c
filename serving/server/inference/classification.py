"""Classification: tf.Examples in, a label and a score for each class out.

The checks, their order and their texts are those of TensorFlow Serving's
`classifier.cc`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.inference.examples import INPUTS, run_examples
from fovea.serving.server.inference.run_signature import Arrays, Timer
from fovea.serving.server.saved_model.arrays import data_type, shape_string
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import (
    CLASSIFY_METHOD,
    check_method_name,
    debug_string,
    find_signature,
)

CLASSES = "classes"
SCORES = "scores"


@dataclass(frozen=True)
class Classifications:
    """The result for each example; what the graph does not compute is None.

    Attributes:
        classes: Labels, `bytes` of shape `[examples, classes]`.
        scores: Scores, float32 of the same shape.
    """

    classes: np.ndarray | None
    scores: np.ndarray | None

    def rows(self) -> Iterator[list[tuple[str, float]]]:
        """Yield the label and the score of each class, example by example.

        A label that the graph does not compute is empty, a score 0.

        Raises:
            ServingError: INTERNAL, a label is not UTF-8.
        """
        present = self.scores if self.classes is None else self.classes
        assert present is not None
        count, width = present.shape
        for row in range(count):
            labels, scores = [""] * width, [0.0] * width
            if self.classes is not None:
                labels = [_text(label) for label in self.classes[row]]
            if self.scores is not None:
                scores = self.scores[row].tolist()
            yield list(zip(labels, scores, strict=True))


def classify_examples(
    model: LoadedModel,
    signature: str,
    examples: np.ndarray,
    timeout: float | None,
    timer: Timer,
) -> Classifications:
    """Classify serialized tf.Examples.

    Args:
        model: The loaded model.
        signature: The signature's name.
        examples: The serialized examples.
        timeout: Seconds after which to give up; None for never.
        timer: Entered while the graph runs.

    Raises:
        ServingError: The signature is not a classifier's, there are no examples, or
            the graph failed.
    """
    definition = find_signature(model.signatures, signature)
    aliases = classification_outputs(definition, model.check_method_names)
    outputs = run_examples(model, signature, examples, aliases, timeout, timer)
    return classifications(outputs, len(examples))


def classification_outputs(
    signature: meta_graph_pb2.SignatureDef, check_method: bool
) -> list[str]:
    """Check that a signature is a classifier's.

    Args:
        signature: The signature.
        check_method: Whether its method name must be the right one.

    Returns:
        Which of the outputs `classes` and `scores` it has.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if check_method:
        check_method_name(signature, "classification", CLASSIFY_METHOD)
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
    return aliases


def classifications(outputs: Arrays, count: int) -> Classifications:
    """Check the outputs of a classifier.

    Args:
        outputs: Arrays by output name: `classes`, `scores` or both.
        count: The number of examples.

    Raises:
        ServingError: INVALID_ARGUMENT, they are not of shape `[count, classes]`, or
            not strings and floats.
    """
    classes = _checked(outputs, CLASSES, types_pb2.DT_STRING, count)
    scores = _checked(outputs, SCORES, types_pb2.DT_FLOAT, count)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid_argument(
            "Tensors class and score should match in dim_size(1). Got "
            f"{classes.shape[1]} vs. {scores.shape[1]}"
        )
    return Classifications(classes, scores)


def _checked(
    outputs: Arrays, alias: str, expected: int, count: int
) -> np.ndarray | None:
    array = outputs.get(alias)
    if array is None:
        return None
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
