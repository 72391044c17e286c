"""ModelSpec: which model, and which version of it, a request means."""

from __future__ import annotations

from tensorflow_serving.apis import model_pb2

from serving.server.errors import ServingError, invalid_argument


def missing_model_spec() -> ServingError:
    """The error of every request without a ModelSpec."""
    return invalid_argument("Missing ModelSpec")


def resolve(spec: model_pb2.ModelSpec) -> tuple[str, int | None]:
    """The model's name and the version, None for the latest.

    Raises:
        ServingError: No name, or a label: a model without a config file has none.
    """
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label":
        raise invalid_argument(
            f"Unrecognized servable version label: {spec.version_label}"
        )
    return spec.name, spec.version.value if choice == "version" else None
