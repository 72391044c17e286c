"""Regress: tf.Examples in, one number for each out."""

from __future__ import annotations

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import regression_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.inference.examples import run_examples
from fovea.serving.server.inference.tensors import data_type, shape_string
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import (
    REGRESS_METHOD,
    debug_string,
    fill_spec,
    find_signature,
)
from fovea.serving.server.telemetry import metrics

INPUTS = "inputs"
OUTPUTS = "outputs"


def regress(
    runner: LoadedModel,
    version: int,
    request: regression_pb2.RegressionRequest,
    timeout: float | None = None,
) -> regression_pb2.RegressionResponse:
    """Answer a Regress request with a loaded model.

    The checks, their order and their texts are those of TF Serving's
    ``regressor.cc``.

    Args:
        runner: The loaded model.
        version: Its version, for the answer.
        request: What the client sent.
        timeout: Seconds that are left for it.

    Raises:
        ServingError: The request or the signature does not fit, or the graph failed.
    """
    signature = find_signature(runner.signatures, request.model_spec)
    input_name, output_name = regression_tensors(signature, runner.check_method_names)
    with metrics.runtime("Regress", request.model_spec.name):
        count, outputs = run_examples(
            runner, request.input, [input_name], [output_name], timeout
        )
    metrics.examples(request.model_spec.name, count)
    response = regression_pb2.RegressionResponse()
    fill_spec(response.model_spec, request.model_spec, version)
    fill_regressions(response.result, count, outputs[output_name])
    return response


def regression_tensors(
    signature: meta_graph_pb2.SignatureDef, check_method_name: bool
) -> tuple[str, str]:
    """The tensor that takes the examples, and the one of the numbers.

    Raises:
        ServingError: The signature is not one of a regression.
    """
    if check_method_name and signature.method_name != REGRESS_METHOD:
        raise invalid_argument(
            f"Expected regression signature method_name to be {REGRESS_METHOD}. "
            f"Was: {signature.method_name}"
        )
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
    return signature.inputs[INPUTS].name, signature.outputs[OUTPUTS].name


def fill_regressions(
    result: regression_pb2.RegressionResult, count: int, output: np.ndarray
) -> None:
    """Write what the graph computed into an empty result.

    Args:
        result: The message to fill.
        count: How many examples there were.
        output: The numbers: ``[count]`` or ``[count, 1]``.

    Raises:
        ServingError: They are of another shape, or no floats.
    """
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
    for value in output.ravel().tolist():
        result.regressions.add().value = value
