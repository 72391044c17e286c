"""Predict as gRPC encodes it: TensorProtos in, TensorProtos out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import grpc
import numpy as np
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import model_pb2, predict_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.inference.run_signature import (
    Arrays,
    SignatureRun,
    prepare_run,
    run_signature,
)
from fovea.serving.server.inference.tensors import fill_proto, parse_tensor
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import fill_spec, signature_name
from fovea.serving.server.telemetry import metrics


def predict(
    model: LoadedModel,
    version: int,
    request: predict_pb2.PredictRequest,
    timeout: float | None = None,
    *,
    tensor_content: bool = False,
) -> predict_pb2.PredictResponse:
    """Return the response to a Predict request.

    Args:
        model: The loaded model.
        version: Its version, for the response.
        request: The client's request.
        timeout: Seconds until the client's deadline; None for none.
        tensor_content: Whether to encode tensors as raw bytes, not in typed fields.

    Raises:
        ServingError: The request does not match the signature, or the graph failed.
    """
    spec = request.model_spec
    outputs = run_signature(
        model,
        signature_name(spec),
        _Inputs(request.inputs),
        request.output_filter,
        timeout,
        metrics.runtime("Predict", spec.name),
    )
    return predict_response(outputs, spec, version, tensor_content)


def prepare_predict(
    model: LoadedModel, request: predict_pb2.PredictRequest
) -> SignatureRun:
    """Check a Predict request and decode its tensors, for a run elsewhere.

    Raises:
        ServingError: The request does not match the signature.
    """
    return prepare_run(
        model,
        signature_name(request.model_spec),
        _Inputs(request.inputs),
        request.output_filter,
    )


def predict_response(
    outputs: Arrays,
    spec: model_pb2.ModelSpec,
    version: int,
    tensor_content: bool = False,
) -> predict_pb2.PredictResponse:
    """Encode the outputs of a Predict request.

    Args:
        outputs: Arrays by output name.
        spec: The ModelSpec of the request.
        version: The version that computed them.
        tensor_content: Whether to encode tensors as raw bytes, not in typed fields.

    Raises:
        ServingError: UNIMPLEMENTED, for a dtype that a TensorProto cannot hold.
    """
    response = predict_pb2.PredictResponse()
    fill_spec(response.model_spec, spec, version)
    for alias, array in outputs.items():
        try:
            fill_proto(response.outputs[alias], array, tensor_content)
        except ValueError as error:
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, str(error)) from None
    return response


class _Inputs(Mapping[str, np.ndarray]):
    """The tensors of a request, each decoded when it is read.

    Args:
        protos: The tensors by input name.
    """

    __slots__ = ("_protos",)

    def __init__(self, protos: Mapping[str, tensor_pb2.TensorProto]) -> None:
        self._protos = protos

    def __getitem__(self, alias: str) -> np.ndarray:
        return parse_tensor(alias, self._protos[alias])

    def __contains__(self, alias: object) -> bool:
        return alias in self._protos

    def __iter__(self) -> Iterator[str]:
        return iter(self._protos)

    def __len__(self) -> int:
        return len(self._protos)
