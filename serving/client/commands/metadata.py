"""`fovea metadata`: what a model can be asked."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fovea.serving.client.commands import arguments
from fovea.serving.client.commands.json_values import plain

if TYPE_CHECKING:
    from fovea.serving.client.answers import ModelMetadata, Signature, TensorSpec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea metadata`."""
    parser.add_argument("model", metavar="MODEL", help="the model's name")
    arguments.add_version(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    arguments.add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Print the signatures with names, types and shapes.

    Args:
        args: as parsed by the options of `add_arguments`.

    Returns:
        the exit code, 0.

    Raises:
        ClientError: if the server does not tell.
    """
    from fovea.serving.client.client import Client

    with Client(**arguments.connection(args), timeout=args.timeout) as client:
        found = client.metadata(args.model, version=args.version, label=args.label)
    if args.json:
        print(json.dumps(plain(found), indent=2))
    else:
        print("\n".join(_lines(found)))
    return 0


def _lines(metadata: ModelMetadata) -> list[str]:
    lines = [f"model {metadata.name}, version {metadata.version}"]
    for name, signature in askable(metadata).items():
        kind = signature.method_name.rpartition("/")[2]
        lines += ["", f"{name} ({kind})" if kind else name]
        tensors = [*signature.inputs.items(), *signature.outputs.items()]
        width = max((len(name) for name, _ in tensors), default=0)
        lines += _specs("takes", signature.inputs, width)
        lines += _specs("returns", signature.outputs, width)
    return lines


def askable(metadata: ModelMetadata) -> dict[str, Signature]:
    """The signatures without operations of TensorFlow's own, which cannot be asked."""
    return {
        name: signature
        for name, signature in metadata.signatures.items()
        if not name.startswith("__")
    }


def _specs(verb: str, specs: Mapping[str, TensorSpec], width: int) -> list[str]:
    return [
        f"  {verb if place == 0 else '':<7}  {name:<{width}}  {spec.dtype:<7}  "
        f"{shape_text(spec.shape)}"
        for place, (name, spec) in enumerate(specs.items())
    ]


def shape_text(shape: tuple[int | None, ...] | None) -> str:
    """A shape in words: [?, 28, 28, 1], a question mark for any size."""
    if shape is None:
        return "any shape"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
