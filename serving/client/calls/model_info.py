"""Questions about models, and what is remembered of the answers."""

from __future__ import annotations

import time

from fovea.serving.client.answers import ModelMetadata, VersionStatus
from fovea.serving.client.calls.effects import (
    CHECK_HEALTH,
    GET_METADATA,
    GET_STATUS,
    PREDICT,
    Steps,
    ask,
)
from fovea.serving.client.calls.model_messages import to_metadata, to_version_status
from fovea.serving.client.calls.predictions import CLASSIFY, flat_values, pixel_example
from fovea.serving.client.calls.requests import model_spec, strings_to_tensor
from fovea.serving.client.errors import ClientError, InvalidRequest, ModelNotFound
from fovea.serving.protocol import wire_pb2

# A version label may move and a newer version may come at any time.
_METADATA_SECONDS = 60.0


class Known:
    """What a client has learnt of the models.

    Attributes:
        names: names of the classes, by model and version; () if it tells none.
    """

    def __init__(self) -> None:
        self.names: dict[tuple[str, int], tuple[str, ...]] = {}
        self._metadata: dict[bytes, tuple[float, ModelMetadata]] = {}

    def metadata(self, spec: wire_pb2.ModelSpec) -> ModelMetadata | None:
        """What the asked version said of itself within the last minute."""
        when, metadata = self._metadata.get(_key(spec), (0.0, None))
        fresh = time.monotonic() - when < _METADATA_SECONDS
        return metadata if fresh else None

    def keep(self, spec: wire_pb2.ModelSpec, metadata: ModelMetadata) -> None:
        """Remember what a version says of itself."""
        self._metadata[_key(spec)] = time.monotonic(), metadata

    def answered_by(self, spec: wire_pb2.ModelSpec, version: int) -> None:
        """Forget the metadata if another version answers now."""
        known = self._metadata.get(_key(spec))
        if known is not None and known[1].version != version:
            self._metadata.pop(_key(spec), None)


def _key(spec: wire_pb2.ModelSpec) -> bytes:
    return _any_signature(spec).SerializeToString()


def _any_signature(spec: wire_pb2.ModelSpec) -> wire_pb2.ModelSpec:
    which = wire_pb2.ModelSpec()
    which.CopyFrom(spec)
    which.signature_name = ""
    return which


def metadata(known: Known, spec: wire_pb2.ModelSpec) -> Steps[ModelMetadata]:
    """Ask what a model can be asked."""
    request = wire_pb2.GetModelMetadataRequest(
        model_spec=_any_signature(spec), metadata_field=["signature_def"]
    )
    found = to_metadata((yield from ask(GET_METADATA, request)))
    known.keep(spec, found)
    return found


def status(spec: wire_pb2.ModelSpec) -> Steps[list[VersionStatus]]:
    """Ask where the versions of a model stand."""
    request = wire_pb2.GetModelStatusRequest(model_spec=spec)
    response = yield from ask(GET_STATUS, request)
    return [to_version_status(each) for each in response.model_version_status]


def is_serving() -> Steps[bool]:
    """Ask the standard health service about the whole server."""
    response = yield from ask(CHECK_HEALTH, wire_pb2.HealthCheckRequest())
    return response.status == wire_pb2.HealthCheckResponse.SERVING


def labels(model: str, version: int | None) -> Steps[tuple[str, ...]]:
    """Ask for the names of a model's classes."""
    request = wire_pb2.PredictRequest(
        model_spec=model_spec(model, version, None, CLASSIFY)
    )
    request.inputs["inputs"].CopyFrom(strings_to_tensor([pixel_example()]))
    response = yield from ask(PREDICT, request)
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


def class_names(known: Known, model: str, version: int) -> Steps[tuple[str, ...]]:
    """The names of a version's classes, asked for once; () if it tells none."""
    key = (model, version)
    if key not in known.names:
        try:
            known.names[key] = yield from labels(model, version)
        except (InvalidRequest, ModelNotFound):
            # no signature `classify`, or the version has just been replaced
            known.names[key] = ()
    return known.names[key]


def ready_versions(model: str) -> Steps[str]:
    """The versions that can be asked, such as "1, 2"; "" if that is not known."""
    try:
        found = yield from status(wire_pb2.ModelSpec(name=model))
    except ClientError:
        return ""
    return ", ".join(
        str(version)
        for version in sorted(
            each.version for each in found if each.state == "AVAILABLE"
        )
    )
