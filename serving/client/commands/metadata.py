"""`fovea metadata`: show the signatures of a model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fovea.serving.client.commands import arguments
from fovea.serving.client.commands.json_values import plain

if TYPE_CHECKING:
    from fovea.serving.client.results import ModelMetadata, TensorSpec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea metadata`."""
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    arguments.add_version(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    arguments.add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Print the signatures with the names, types and shapes of their tensors.

    Args:
        args: The parsed options of `add_arguments`.

    Returns:
        The exit code, 0.

    Raises:
        ClientError: If the server does not return the metadata.
    """
    from fovea.serving.client.client import Client

    with Client(**arguments.connection(args), timeout=args.timeout) as client:
        metadata = client.metadata(args.model, version=args.version, label=args.label)
    if args.json:
        print(json.dumps(plain(metadata), indent=2))
    else:
        print("\n".join(_lines(metadata)))
    return 0


def _lines(metadata: ModelMetadata) -> list[str]:
    lines = [f"model {metadata.name}, version {metadata.version}"]
    for name, signature in metadata.callable_signatures.items():
        method = signature.method_name.rpartition("/")[2]
        lines += ["", f"{name} ({method})" if method else name]
        tensors = [*signature.inputs, *signature.outputs]
        width = max(map(len, tensors), default=0)
        lines += _specs("takes", signature.inputs, width)
        lines += _specs("returns", signature.outputs, width)
    return lines


def _specs(verb: str, specs: Mapping[str, TensorSpec], width: int) -> list[str]:
    return [
        f"  {verb if row == 0 else '':<7}  {name:<{width}}  {spec.dtype:<7}  "
        f"{spec.shape_text}"
        for row, (name, spec) in enumerate(specs.items())
    ]
