"""The operation that changes the list of models that a server serves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fovea.serving.client.calls.effects import RELOAD_CONFIG, Operation, Pause, call
from fovea.serving.client.calls.model_info import status
from fovea.serving.client.errors import ClientError, InvalidRequest, ModelNotFound
from fovea.serving.client.model_config import (
    Base,
    ModelConfig,
    from_wire,
    read_base,
    reload_request,
    updated,
    write_file,
)
from fovea.serving.protocol import wire_pb2

Models = dict[str, wire_pb2.ModelConfig]

_POLL_SECONDS = 0.1


def reload_config(
    target: str | Sequence[str],
    seconds: float,
    models: Iterable[ModelConfig],
    base: Base | None,
    remove: Iterable[str],
    replace: bool,
    save: bool,
) -> Operation[list[ModelConfig]]:
    """Send a new list of models; see `Client.reload_config`.

    Args:
        target: The target of the client, which must be a single server.
        seconds: How long to wait for versions that labels need.
        models: Models to add or change.
        base: The config file of the server, or its models.
        remove: Names of models to unload.
        replace: Whether the list may be sent without `base`, or be empty.
        save: Whether to write the new list to the file `base`.

    Returns:
        The operation, whose result is the new list.

    Raises:
        OSError: If `base` cannot be read.
        ValueError: If models would be lost, or arguments contradict each other.
    """
    if not isinstance(target, str) and len(target) > 1:
        raise ValueError(
            "A reload reaches one server; use a client for each address. "
            f"Received: target={list(target)}"
        )
    if base is None and not replace:
        raise ValueError(
            "A server replaces its whole list of models, and does not report the one "
            "it has: pass its config file as base, or replace=True to serve only "
            "`models`. Received: base=None, replace=False"
        )
    path = Path(base) if isinstance(base, str | os.PathLike) else None
    if save and path is None:
        raise ValueError("save writes the file given as base. Received: no file")
    old = {} if base is None else read_base(base)
    new = updated(old, models, remove)
    if not new and not replace:
        raise ValueError(
            "An empty list unloads every model: pass replace=True if that is intended. "
            "Received: an empty list, replace=False"
        )
    return _send(old, new, seconds, path if save else None)


def _send(
    old: Models, new: Models, seconds: float, path: Path | None
) -> Operation[list[ModelConfig]]:
    # A server rejects labels of versions that are not available yet, so these follow
    # in a second request.
    pending = yield from _unavailable_labels(new)
    if pending:
        yield from _replace(_without_labels(pending, old, new))
        yield from _wait(new, seconds)
    yield from _replace(new)
    if path is not None:
        write_file(path, new.values())
    return [from_wire(model) for model in new.values()]


def _replace(models: Models) -> Operation[None]:
    try:
        yield from call(RELOAD_CONFIG, reload_request(models.values()))
    except ClientError as error:
        if error.code not in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNKNOWN"):
            raise
        verb, but = "rejected", ""
        if error.code == "UNKNOWN":
            verb, but = "accepted", ", but not every model could be loaded"
        raise InvalidRequest(
            f"The server {verb} the new list of models{but} ({error.details}).",
            code=error.code,
            details=error.details,
        ) from None


def _labels(models: Models) -> Iterator[tuple[str, str, int]]:
    for name, model in models.items():
        for label, version in model.version_labels.items():
            yield name, label, version


def _unavailable_labels(
    models: Models, waiting: bool = False
) -> Operation[set[tuple[str, str]]]:
    """Return the names and labels whose versions are not available.

    Raises:
        InvalidRequest: If `waiting`, and one of the versions has failed to load.
    """
    available: dict[str, list[int]] = {}
    for name in {name for name, _, _ in _labels(models)}:
        try:
            versions = yield from status(wire_pb2.ModelSpec(name=name))
        except ModelNotFound:
            versions = []
        available[name] = [
            each.version for each in versions if each.state == "AVAILABLE"
        ]
        errors = {
            each.version: each.error_message
            for each in versions
            if each.error_code != "OK"
        }
        failed = sorted(set(models[name].version_labels.values()) & set(errors))
        if failed and waiting:
            raise InvalidRequest(
                f"The server accepted the new list of models, but model {name!r} "
                f"version {failed[0]} cannot be loaded ({errors[failed[0]]}), so no "
                "label can be set to it.",
                details=errors[failed[0]],
            )
    return {
        (name, label)
        for name, label, version in _labels(models)
        if version not in available[name]
    }


def _without_labels(pending: set[tuple[str, str]], old: Models, new: Models) -> Models:
    """Return the new list, but with the `pending` labels as they were before."""
    first: Models = {}
    for name, model in new.items():
        first[name] = wire_pb2.ModelConfig()
        first[name].CopyFrom(model)
        before = old[name].version_labels if name in old else {}
        for label in list(model.version_labels):
            if (name, label) in pending:
                del first[name].version_labels[label]
                if label in before:
                    first[name].version_labels[label] = before[label]
    return first


def _wait(models: Models, seconds: float) -> Operation[None]:
    remaining = seconds
    while True:
        yield Pause(_POLL_SECONDS)
        remaining -= _POLL_SECONDS
        pending = yield from _unavailable_labels(models, waiting=True)
        if not pending:
            return
        if remaining <= 0:
            name, label = sorted(pending)[0]
            raise InvalidRequest(
                "The server accepted the new list of models, but the version for label "
                f"{label!r} of model {name!r} was not available within {seconds:g} s; "
                "the label is not set."
            )
