"""Operations that request information about models, and a cache of the results."""

from __future__ import annotations

import time

from fovea.serving.client.calls.effects import (
    CHECK_HEALTH,
    GET_METADATA,
    GET_STATUS,
    PREDICT,
    Operation,
    call,
)
from fovea.serving.client.calls.model_responses import to_metadata, to_version_status
from fovea.serving.client.calls.predictions import CLASSIFY, flat_values, pixel_example
from fovea.serving.client.calls.requests import model_spec, strings_to_tensor
from fovea.serving.client.errors import ClientError, InvalidRequest, ModelNotFound
from fovea.serving.client.results import ModelMetadata, VersionStatus
from fovea.serving.protocol import wire_pb2

# A version label may move and a newer version may come at any time.
_METADATA_SECONDS = 60.0


class ModelCache:
    """The metadata and class names that a client has received.

    Attributes:
        class_names: Names of the classes by model and version; () if the model does
            not report them.
    """

    def __init__(self) -> None:
        self.class_names: dict[tuple[str, int], tuple[str, ...]] = {}
        self._metadata: dict[bytes, tuple[float, ModelMetadata]] = {}

    def metadata(self, spec: wire_pb2.ModelSpec) -> ModelMetadata | None:
        """Return the metadata of a version, None if it is unknown or outdated."""
        when, metadata = self._metadata.get(_key(spec), (0.0, None))
        fresh = time.monotonic() - when < _METADATA_SECONDS
        return metadata if fresh else None

    def store(self, spec: wire_pb2.ModelSpec, metadata: ModelMetadata) -> None:
        """Store the metadata of a version."""
        self._metadata[_key(spec)] = time.monotonic(), metadata

    def note_version(self, spec: wire_pb2.ModelSpec, version: int) -> None:
        """Drop the metadata if another version has responded."""
        entry = self._metadata.get(_key(spec))
        if entry is not None and entry[1].version != version:
            self._metadata.pop(_key(spec), None)


def _key(spec: wire_pb2.ModelSpec) -> bytes:
    return _without_signature(spec).SerializeToString()


def _without_signature(spec: wire_pb2.ModelSpec) -> wire_pb2.ModelSpec:
    copy = wire_pb2.ModelSpec()
    copy.CopyFrom(spec)
    copy.signature_name = ""
    return copy


def metadata(cache: ModelCache, spec: wire_pb2.ModelSpec) -> Operation[ModelMetadata]:
    """Request the metadata of a model, and store it in the cache."""
    request = wire_pb2.GetModelMetadataRequest(
        model_spec=_without_signature(spec), metadata_field=["signature_def"]
    )
    received = to_metadata((yield from call(GET_METADATA, request)))
    cache.store(spec, received)
    return received


def status(spec: wire_pb2.ModelSpec) -> Operation[list[VersionStatus]]:
    """Request the states of a model's versions."""
    request = wire_pb2.GetModelStatusRequest(model_spec=spec)
    response = yield from call(GET_STATUS, request)
    return [to_version_status(each) for each in response.model_version_status]


def is_serving() -> Operation[bool]:
    """Request the state of the whole server from the standard health service."""
    response = yield from call(CHECK_HEALTH, wire_pb2.HealthCheckRequest())
    return response.status == wire_pb2.HealthCheckResponse.SERVING


def labels(model: str, version: int | None) -> Operation[tuple[str, ...]]:
    """Request the names of a model's classes through its signature `classify`."""
    request = wire_pb2.PredictRequest(
        model_spec=model_spec(model, version, None, CLASSIFY)
    )
    request.inputs["inputs"].CopyFrom(strings_to_tensor([pixel_example()]))
    response = yield from call(PREDICT, request)
    classes = response.outputs["classes"]
    sizes = [dim.size for dim in classes.tensor_shape.dim]
    if len(sizes) != 2 or sizes[0] != 1:
        raise ClientError(
            f"Model {model!r} does not name its classes as `fovea export` does: "
            "its signature 'classify' must return `classes` of shape [N, K]."
        )
    return tuple(
        name.decode("utf-8", "replace") for name in flat_values(classes, "string_val")
    )


def class_names(
    cache: ModelCache, model: str, version: int
) -> Operation[tuple[str, ...]]:
    """Return the names of a version's classes, () if it does not report them.

    They are requested once per version.
    """
    key = (model, version)
    if key not in cache.class_names:
        try:
            cache.class_names[key] = yield from labels(model, version)
        except (InvalidRequest, ModelNotFound):
            # no signature `classify`, or the version has just been replaced
            cache.class_names[key] = ()
    return cache.class_names[key]


def ready_versions(model: str) -> Operation[str]:
    """Return the versions that are ready, such as "1, 2"; "" if that is unknown."""
    try:
        versions = yield from status(wire_pb2.ModelSpec(name=model))
    except ClientError:
        return ""
    ready = sorted(each.version for each in versions if each.state == "AVAILABLE")
    return ", ".join(map(str, ready))
