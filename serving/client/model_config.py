"""The list of models that a server serves, as values, messages and a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from google.protobuf import text_format

from fovea.serving.protocol import wire_pb2


@dataclass(frozen=True)
class ModelConfig:
    """A model in the list of a server.

    Attributes:
        name: Name by which clients call the model.
        base_path: Absolute path of the directory on the server that holds the numbered
            versions.
        latest: How many of the newest versions to serve, unless `versions` is given.
        versions: Numbers of the versions to serve, or "all".
        labels: Version numbers by the labels that clients may call instead.
    """

    name: str
    base_path: str
    latest: int = 1
    versions: Sequence[int] | Literal["all"] = ()
    labels: dict[str, int] = field(default_factory=dict)


# The config file of a server, or its models
Base: TypeAlias = "str | os.PathLike[str] | Iterable[ModelConfig]"


def to_wire(model: ModelConfig) -> wire_pb2.ModelConfig:
    """Convert a model to the message of the protocol."""
    config = wire_pb2.ModelConfig(
        name=model.name,
        base_path=model.base_path,
        model_platform="tensorflow",
        version_labels=model.labels,
    )
    policy = config.model_version_policy
    if model.versions == "all":
        policy.all.SetInParent()
    elif model.versions:
        policy.specific.versions.extend(map(int, model.versions))
    elif model.latest != 1:
        policy.latest.num_versions = model.latest
    return config


def from_wire(config: wire_pb2.ModelConfig) -> ModelConfig:
    """Convert the message of the protocol to a model."""
    policy = config.model_version_policy
    return ModelConfig(
        name=config.name,
        base_path=config.base_path,
        latest=policy.latest.num_versions or 1,
        versions="all" if policy.HasField("all") else tuple(policy.specific.versions),
        labels=dict(config.version_labels),
    )


def read_base(base: Base) -> dict[str, wire_pb2.ModelConfig]:
    """Return the models of a server by name.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not a config file, or lists a model twice.
    """
    if not isinstance(base, str | os.PathLike):
        return by_name(map(to_wire, base))
    config = wire_pb2.ModelServerConfig()
    try:
        text_format.Parse(Path(base).read_bytes(), config)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(
            "A config file is a ModelServerConfig with a model_config_list in "
            f"protobuf's text format. Received: {os.fspath(base)} ({error})"
        ) from None
    return by_name(config.model_config_list.config)


def by_name(
    models: Iterable[wire_pb2.ModelConfig],
) -> dict[str, wire_pb2.ModelConfig]:
    """Return models by name.

    Raises:
        ValueError: If two have the same name.
    """
    named: dict[str, wire_pb2.ModelConfig] = {}
    for model in models:
        if model.name in named:
            raise ValueError(f"A model is listed once. Received: {model.name!r} twice")
        named[model.name] = model
    return named


def updated(
    base: dict[str, wire_pb2.ModelConfig],
    models: Iterable[ModelConfig],
    remove: Iterable[str],
) -> dict[str, wire_pb2.ModelConfig]:
    """Return the list with models added or changed, and others removed.

    Args:
        base: The current list by name.
        models: Models to add, or to change if their name is listed.
        remove: Names of models to remove.

    Raises:
        ValueError: If a model to remove is not listed, or is also to be changed.
    """
    new, removed = by_name(map(to_wire, models)), set(remove)
    if removed - set(base) or removed & set(new):
        raise ValueError(
            f"Each name to remove is one of {sorted(set(base) - set(new))}. "
            f"Received: remove={sorted(removed)}"
        )
    kept = {name: model for name, model in base.items() if name not in removed}
    return {**kept, **new}


def reload_request(
    models: Iterable[wire_pb2.ModelConfig],
) -> wire_pb2.ReloadConfigRequest:
    """Return the request to serve these models and no others."""
    reload = wire_pb2.ReloadConfigRequest()
    # Set even if it is empty, which makes the server unload everything
    reload.config.model_config_list.SetInParent()
    reload.config.model_config_list.config.extend(models)
    return reload


def write_file(path: Path, models: Iterable[wire_pb2.ModelConfig]) -> None:
    """Replace a config file atomically."""
    text = text_format.MessageToString(reload_request(models).config)
    partial = path.with_name(f".{path.name}.new")
    partial.write_text(text)
    partial.replace(path)
