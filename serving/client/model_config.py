"""The list of models that a server is told to serve."""

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
    """One model to serve.

    Attributes:
        name: what clients ask for.
        base_path: directory on the server that holds the numbered versions; absolute.
        latest: how many of the newest versions to serve, unless `versions` is given.
        versions: serve these versions, or "all".
        labels: a version by the label that clients may ask for in its stead.
    """

    name: str
    base_path: str
    latest: int = 1
    versions: Sequence[int] | Literal["all"] = ()
    labels: dict[str, int] = field(default_factory=dict)


# The file that a server was started with, or its models
Base: TypeAlias = "str | os.PathLike[str] | Iterable[ModelConfig]"


def to_wire(model: ModelConfig) -> wire_pb2.ModelConfig:
    """As the server reads it."""
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
    """As people read it."""
    policy = config.model_version_policy
    return ModelConfig(
        name=config.name,
        base_path=config.base_path,
        latest=policy.latest.num_versions or 1,
        versions="all" if policy.HasField("all") else tuple(policy.specific.versions),
        labels=dict(config.version_labels),
    )


def read_base(base: Base) -> dict[str, wire_pb2.ModelConfig]:
    """The models that a server has, by name.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no config file, or a model is named twice.
    """
    if not isinstance(base, str | os.PathLike):
        return by_name(map(to_wire, base))
    config = wire_pb2.ModelServerConfig()
    try:
        text_format.Parse(Path(base).read_bytes(), config)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(
            "A config file is a ModelServerConfig with a model_config_list in "
            f"protobuf's text form. Received: {os.fspath(base)} ({error})"
        ) from None
    return by_name(config.model_config_list.config)


def by_name(
    models: Iterable[wire_pb2.ModelConfig],
) -> dict[str, wire_pb2.ModelConfig]:
    """Models by their names, which must differ."""
    named: dict[str, wire_pb2.ModelConfig] = {}
    for model in models:
        if model.name in named:
            raise ValueError(f"A model is listed once. Received: {model.name!r} twice")
        named[model.name] = model
    return named


def changed(
    base: dict[str, wire_pb2.ModelConfig],
    models: Iterable[ModelConfig],
    remove: Iterable[str],
) -> dict[str, wire_pb2.ModelConfig]:
    """The list with models added or changed, and others removed.

    Raises:
        ValueError: if a model to remove is not listed, or is also to be changed.
    """
    new, gone = by_name(map(to_wire, models)), set(remove)
    if gone - set(base) or gone & set(new):
        raise ValueError(
            f"What is removed is one of {sorted(set(base) - set(new))}. "
            f"Received: remove={sorted(gone)}"
        )
    kept = {name: model for name, model in base.items() if name not in gone}
    return {**kept, **new}


def request(models: Iterable[wire_pb2.ModelConfig]) -> wire_pb2.ReloadConfigRequest:
    """Ask the server to serve these models and no others."""
    reload = wire_pb2.ReloadConfigRequest()
    # Present even if empty, which is how a server is told to serve nothing
    reload.config.model_config_list.SetInParent()
    reload.config.model_config_list.config.extend(models)
    return reload


def write_file(path: Path, models: Iterable[wire_pb2.ModelConfig]) -> None:
    """Write a config file in place of another, whole or not at all."""
    text = text_format.MessageToString(request(models).config)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)
