"""Convert responses about models to the values that the client returns."""

from collections.abc import Mapping

import grpc

from fovea.serving.client.results import (
    ModelMetadata,
    Signature,
    TensorSpec,
    VersionStatus,
)
from fovea.serving.protocol import wire_pb2
from fovea.serving.protocol.dtypes import type_name


def to_metadata(response: wire_pb2.GetModelMetadataResponse) -> ModelMetadata:
    """Convert the response of GetModelMetadata."""
    # Any.Unpack cannot be used: it compares message names, and ours differs
    packed = response.metadata["signature_def"].value
    signatures = wire_pb2.SignatureDefMap.FromString(packed).signature_def
    return ModelMetadata(
        name=response.model_spec.name,
        version=response.model_spec.version.value,
        signatures={
            name: Signature(
                inputs=_tensor_specs(signatures[name].inputs),
                outputs=_tensor_specs(signatures[name].outputs),
                method_name=signatures[name].method_name,
            )
            for name in sorted(signatures)
        },
    )


def to_version_status(status: wire_pb2.ModelVersionStatus) -> VersionStatus:
    """Convert one version of the response of GetModelStatus."""
    return VersionStatus(
        version=status.version,
        state=_state_name(status.state),
        error_code=_code_name(status.status.error_code),
        error_message=status.status.error_message,
    )


def _tensor_specs(infos: Mapping[str, wire_pb2.TensorInfo]) -> dict[str, TensorSpec]:
    return {
        alias: TensorSpec(
            name=infos[alias].name,
            dtype=type_name(infos[alias].dtype),
            shape=_shape(infos[alias].tensor_shape),
        )
        for alias in sorted(infos)
    }


def _shape(shape: wire_pb2.TensorShapeProto) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)


def _state_name(number: int) -> str:
    states = wire_pb2.ModelVersionStatus.State
    return states.Name(number) if number in states.values() else f"UNKNOWN({number})"


def _code_name(number: int) -> str:
    for code in grpc.StatusCode:
        if code.value[0] == number:
            return code.name
    return f"UNKNOWN({number})"
