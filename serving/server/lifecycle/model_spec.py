"""ModelSpec: the model and the version that a request names."""

from __future__ import annotations

from typing import Any

from tensorflow_serving.apis import model_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.lifecycle.labels import Labels


def spec_of(request: Any) -> model_pb2.ModelSpec:
    """Return the ModelSpec of a request.

    Raises:
        ServingError: INVALID_ARGUMENT if the request has none.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return request.model_spec


def resolve(spec: model_pb2.ModelSpec, labels: Labels) -> tuple[str, int | None]:
    """Return the model's name and the version, None for the latest.

    Args:
        spec: The ModelSpec of the request.
        labels: The labels that are assigned now.

    Raises:
        ServingError: INVALID_ARGUMENT without a name or for an unknown label.
    """
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label":
        return spec.name, labels.version(spec.name, spec.version_label)
    return spec.name, spec.version.value if choice == "version" else None
