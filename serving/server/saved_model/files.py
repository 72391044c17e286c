"""The SavedModel on disk: parse it, choose its graph, check that it is complete."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
from google.protobuf import message, text_format
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from fovea.serving.server.errors import ServingError

_VARIABLE_OPS = {"VarHandleOp", "VariableV2", "Variable"}
_SHARD = re.compile(r"variables\.data-\d{5}-of-(\d{5})")


def read_saved_model(path: Path) -> saved_model_pb2.SavedModel:
    """Parse `saved_model.pb` (or `.pbtxt`) of a version directory.

    Raises:
        ServingError: NOT_FOUND without such a file, DATA_LOSS when it cannot be parsed.
    """
    saved_model = saved_model_pb2.SavedModel()
    for name in ("saved_model.pb", "saved_model.pbtxt"):
        file = path / name
        try:
            raw = file.read_bytes()
        except OSError:
            continue
        try:
            if name == "saved_model.pb":
                saved_model.ParseFromString(raw)
            else:
                text_format.Parse(raw, saved_model)
        except (message.DecodeError, text_format.ParseError, UnicodeDecodeError):
            form = "binary" if name == "saved_model.pb" else "text"
            raise ServingError(
                grpc.StatusCode.DATA_LOSS, f"Can't parse {file} as {form} proto"
            ) from None
        return saved_model
    raise ServingError(
        grpc.StatusCode.NOT_FOUND,
        "Could not find SavedModel .pb or .pbtxt at supplied export directory path: "
        f"{path}. Check that the directory exists and that you have the right "
        "permissions for accessing it.",
    )


def choose_meta_graph(
    saved_model: saved_model_pb2.SavedModel, tags: Sequence[str]
) -> meta_graph_pb2.MetaGraphDef:
    """Return the graph of a SavedModel that has exactly these tags.

    Raises:
        ServingError: NOT_FOUND when there is none.
    """
    for meta_graph in saved_model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == set(tags):
            return meta_graph
    raise ServingError(
        grpc.StatusCode.NOT_FOUND,
        "Could not find meta graph def matching supplied tags: { "
        f"{' '.join(tags)} }}. To inspect available tag-sets in the SavedModel, "
        "please use the SavedModel CLI: `saved_model_cli`",
    )


def ops(meta_graph: meta_graph_pb2.MetaGraphDef) -> Iterator[str]:
    """Yield the type of every operation of the graph and of its functions."""
    for node in meta_graph.graph_def.node:
        yield node.op
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            yield node.op


def missing_part(path: Path) -> str | None:
    """Return a file that a version directory still lacks while it is being copied.

    A graph without its variables can be loaded, and then fails every request; the
    C++ server does so. Here such a version is not loaded until it is complete.

    Args:
        path: A version directory.

    Returns:
        The missing file, relative to `path`, or None when nothing is missing. A
        `saved_model.pb` that cannot be parsed lacks nothing: loading it reports the
        error.
    """
    if not any((path / f"saved_model.{end}").is_file() for end in ("pb", "pbtxt")):
        return "saved_model.pb"
    try:
        saved_model = read_saved_model(path)
    except ServingError:
        return None
    variables = path / "variables"
    has_variables = any(
        op in _VARIABLE_OPS for m in saved_model.meta_graphs for op in ops(m)
    )
    if has_variables or variables.is_dir():
        missing = _missing_variables(variables)
        if missing:
            return f"variables/{missing}"
    for meta_graph in saved_model.meta_graphs:
        for asset in meta_graph.asset_file_def:
            if not (path / "assets" / asset.filename).is_file():
                return f"assets/{asset.filename}"
    return None


def _missing_variables(variables: Path) -> str | None:
    if not (variables / "variables.index").is_file():
        return "variables.index"
    found = {file.name for file in variables.glob("variables.data-*")}
    counts = {int(match[1]) for name in found if (match := _SHARD.fullmatch(name))}
    count = max(counts, default=1)
    for shard in range(count):
        name = f"variables.data-{shard:05}-of-{count:05}"
        if name not in found:
            return name
    return None
