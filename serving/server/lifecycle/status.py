"""GetModelStatus: the versions of a model and their states."""

from __future__ import annotations

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.lifecycle.states import VersionStatus


def status(
    spec: model_pb2.ModelSpec, versions: list[VersionStatus]
) -> get_model_status_pb2.GetModelStatusResponse:
    """Return the status of one version or of all.

    A version label is ignored, as by TensorFlow Serving.

    Args:
        spec: The model and, optionally, the version that the request names.
        versions: The status of each version of that model.

    Raises:
        ServingError: NOT_FOUND if the model never had that version, or any.
    """
    if spec.WhichOneof("version_choice") == "version":
        number = spec.version.value
        versions = [known for known in versions if known.version == number]
        missing = f"version {number}"
    else:
        missing = "any versions"
    if not versions:
        raise ServingError(
            grpc.StatusCode.NOT_FOUND, f"Could not find {missing} of model {spec.name}"
        )
    response = get_model_status_pb2.GetModelStatusResponse()
    for known in versions:
        entry = response.model_version_status.add()
        entry.version = known.version
        entry.state = int(known.state)
        entry.status.SetInParent()
        if known.error is not None:
            entry.status.error_code = known.error.number
            entry.status.error_message = known.error.message
    return response
