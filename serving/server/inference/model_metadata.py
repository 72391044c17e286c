"""GetModelMetadata: the signatures of a loaded version."""

from __future__ import annotations

from tensorflow_serving.apis import get_model_metadata_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.saved_model.interface import LoadedModel

SIGNATURE_DEF = "signature_def"


def check_fields(request: get_model_metadata_pb2.GetModelMetadataRequest) -> None:
    """Refuse a request for unknown fields, before any model is looked up.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if not request.metadata_field:
        raise invalid_argument(
            "GetModelMetadataRequest must specify at least one metadata_field"
        )
    for name in request.metadata_field:
        if name != SIGNATURE_DEF:
            raise invalid_argument(f"Metadata field {name} is not supported")


def metadata(
    model: LoadedModel, name: str, version: int
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Return all signatures of a model, `__saved_model_init_op` too, in an Any.

    Args:
        model: The loaded model.
        name: Its name, for the response.
        version: Its version, for the response.
    """
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, signature in model.signatures.items():
        signatures.signature_def[key].CopyFrom(signature)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response
