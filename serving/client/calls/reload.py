"""Change the list of models that a server serves, without losing any by accident."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fovea.serving.client.calls.effects import RELOAD_CONFIG, Pause, Steps, ask
from fovea.serving.client.calls.model_info import status
from fovea.serving.client.errors import ClientError, InvalidRequest, ModelNotFound
from fovea.serving.client.model_config import (
    Base,
    ModelConfig,
    changed,
    from_wire,
    read_base,
    request,
    write_file,
)
from fovea.serving.protocol import wire_pb2

Models = dict[str, wire_pb2.ModelConfig]

_SECONDS_BETWEEN_LOOKS = 0.1


def reload_config(
    target: str | Sequence[str],
    seconds: float,
    models: Iterable[ModelConfig],
    base: Base | None,
    remove: Iterable[str],
    replace: bool,
    save: bool,
) -> Steps[list[ModelConfig]]:
    """Send a new list; the arguments are those of Client.reload_config.

    Args:
        target: the client's; only one server can be told.
        seconds: how long to wait for versions that labels need.

    Raises:
        OSError: if `base` cannot be read.
        ValueError: if what is asked for would lose models, or contradicts itself.
    """
    if not isinstance(target, str) and len(target) > 1:
        raise ValueError(
            "A reload reaches one server: ask each by its own address. "
            f"Received: target={list(target)}"
        )
    if base is None and not replace:
        raise ValueError(
            "A server replaces its whole list of models, and cannot be asked for the "
            "one it has: name its config file as base, or say replace=True to serve "
            "nothing but `models`. Received: base=None, replace=False"
        )
    path = Path(base) if isinstance(base, str | os.PathLike) else None
    if save and path is None:
        raise ValueError("save writes the file given as base. Received: no file")
    old = {} if base is None else read_base(base)
    new = changed(old, models, remove)
    if not new and not replace:
        raise ValueError(
            "An empty list unloads every model: say replace=True if that is meant. "
            "Received: an empty list, replace=False"
        )
    return _send(old, new, seconds, path if save else None)


def _send(
    old: Models, new: Models, seconds: float, path: Path | None
) -> Steps[list[ModelConfig]]:
    # A server refuses labels of versions that it does not serve yet, so these follow
    # when it does.
    early = yield from _unready(new)
    if early:
        yield from _replace(_without(early, old, new))
        yield from _wait(new, seconds)
    yield from _replace(new)
    if path is not None:
        write_file(path, new.values())
    return [from_wire(model) for model in new.values()]


def _replace(models: Models) -> Steps[None]:
    try:
        yield from ask(RELOAD_CONFIG, request(models.values()))
    except ClientError as error:
        if error.code not in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNKNOWN"):
            raise
        does = "took" if error.code == "UNKNOWN" else "refused"
        but = ", but not every model could be loaded" if does == "took" else ""
        raise InvalidRequest(
            f"The server {does} the new list of models{but} ({error.details}).",
            code=error.code,
            details=error.details,
        ) from None


def _labels(models: Models) -> Iterator[tuple[str, str, int]]:
    for name, model in models.items():
        for label, version in model.version_labels.items():
            yield name, label, version


def _unready(models: Models, waiting: bool = False) -> Steps[set[tuple[str, str]]]:
    """Names and labels of versions that are not available.

    Raises:
        InvalidRequest: if `waiting` for one that has failed to load.
    """
    ready: dict[str, list[int]] = {}
    for name in {name for name, _, _ in _labels(models)}:
        try:
            found = yield from status(wire_pb2.ModelSpec(name=name))
        except ModelNotFound:
            found = []
        ready[name] = [each.version for each in found if each.state == "AVAILABLE"]
        ended = {each.version: each for each in found if each.error_code != "OK"}
        failed = sorted(set(models[name].version_labels.values()) & set(ended))
        if failed and waiting:
            raise InvalidRequest(
                f"The server took the new list of models, but model {name!r} version "
                f"{failed[0]} cannot be loaded ({ended[failed[0]].error_message}), so "
                "no label can mean it.",
                details=ended[failed[0]].error_message,
            )
    return {
        (n, label) for n, label, version in _labels(models) if version not in ready[n]
    }


def _without(early: set[tuple[str, str]], old: Models, new: Models) -> Models:
    """The new list, but with the labels in `early` as they were before."""
    first: Models = {}
    for name, model in new.items():
        first[name] = wire_pb2.ModelConfig()
        first[name].CopyFrom(model)
        before = old[name].version_labels if name in old else {}
        for label in list(model.version_labels):
            if (name, label) in early:
                del first[name].version_labels[label]
                if label in before:
                    first[name].version_labels[label] = before[label]
    return first


def _wait(models: Models, seconds: float) -> Steps[None]:
    left = seconds
    while True:
        yield Pause(_SECONDS_BETWEEN_LOOKS)
        left -= _SECONDS_BETWEEN_LOOKS
        unready = yield from _unready(models, waiting=True)
        if not unready:
            return
        if left <= 0:
            name, label = sorted(unready)[0]
            raise InvalidRequest(
                "The server took the new list of models, but the version that label "
                f"{label!r} of model {name!r} is to mean was not available within "
                f"{seconds:g} s; until it is, the label cannot be set."
            )
