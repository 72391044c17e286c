"""Regression: tf.Examples in, one number for each out.

The checks, their order and their texts are those of TensorFlow Serving's
`regressor.cc`.
"""

from __future__ import annotations

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.inference.examples import INPUTS, run_examples
from fovea.serving.server.inference.run_signature import Arrays, Timer
from fovea.serving.server.saved_model.arrays import data_type, shape_string
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import (
    REGRESS_METHOD,
    check_method_name,
    debug_string,
    find_signature,
)

OUTPUTS = "outputs"


def regress_examples(
    model: LoadedModel,
    signature: str,
    examples: np.ndarray,
    timeout: float | None,
    timer: Timer,
) -> np.ndarray:
    """Compute a number for each of the serialized tf.Examples.

    Args:
        model: The loaded model.
        signature: The signature's name.
        examples: The serialized examples.
        timeout: Seconds after which to give up; None for never.
        timer: Entered while the graph runs.

    Returns:
        float32 `[examples]`.

    Raises:
        ServingError: The signature is not a regression's, there are no examples, or
            the graph failed.
    """
    definition = find_signature(model.signatures, signature)
    aliases = regression_outputs(definition, model.check_method_names)
    outputs = run_examples(model, signature, examples, aliases, timeout, timer)
    return regressions(outputs, len(examples))


def regression_outputs(
    signature: meta_graph_pb2.SignatureDef, check_method: bool
) -> list[str]:
    """Check that a signature is a regression's.

    Args:
        signature: The signature.
        check_method: Whether its method name must be the right one.

    Returns:
        The name of its output.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if check_method:
        check_method_name(signature, "regression", REGRESS_METHOD)
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid_argument(
            f"No regression inputs found in SignatureDef: {debug_string(signature)}"
        )
    if OUTPUTS not in signature.outputs:
        raise invalid_argument(
            f"No regression outputs found in SignatureDef: {debug_string(signature)}"
        )
    return [OUTPUTS]


def regressions(outputs: Arrays, count: int) -> np.ndarray:
    """Check the output of a regression.

    Args:
        outputs: The array named `outputs`: `[count]` or `[count, 1]`.
        count: The number of examples.

    Returns:
        float32 `[count]`.

    Raises:
        ServingError: INVALID_ARGUMENT, it has another shape or another dtype.
    """
    output = outputs[OUTPUTS]
    if not (output.ndim == 1 or (output.ndim == 2 and output.shape[1] == 1)):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or "
            f"[batch_size, 1] but got {shape_string(output)}"
        )
    if len(output) != count:
        raise invalid_argument(
            "Input batch size did not match output batch size: "
            f"{count} vs. {len(output)}"
        )
    if data_type(output) != types_pb2.DT_FLOAT:
        raise invalid_argument(
            "Expected output Tensor of DT_FLOAT.  Got: "
            f"{types_pb2.DataType.Name(data_type(output))}"
        )
    return output.ravel()
