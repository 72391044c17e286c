"""Regress as gRPC encodes it."""

from __future__ import annotations

import numpy as np
from tensorflow_serving.apis import regression_pb2

from fovea.serving.server.inference.examples import measured, serialized_examples
from fovea.serving.server.inference.regression import regress_examples
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import fill_spec, signature_name


def regress(
    model: LoadedModel,
    version: int,
    request: regression_pb2.RegressionRequest,
    timeout: float | None = None,
) -> regression_pb2.RegressionResponse:
    """Return the response to a Regress request.

    Args:
        model: The loaded model.
        version: Its version, for the response.
        request: The client's request.
        timeout: Seconds until the client's deadline; None for none.

    Raises:
        ServingError: The request or the signature is unsuitable, or the graph failed.
    """
    spec = request.model_spec
    examples = serialized_examples(request.input)
    timer = measured("Regress", spec.name, examples)
    values = regress_examples(model, signature_name(spec), examples, timeout, timer)
    response = regression_pb2.RegressionResponse()
    fill_spec(response.model_spec, spec, version)
    fill_regressions(response.result, values)
    return response


def fill_regressions(
    result: regression_pb2.RegressionResult, values: np.ndarray
) -> None:
    """Write numbers into an empty message."""
    for value in values.tolist():
        result.regressions.add(value=value)
