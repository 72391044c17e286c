"""`fovea status`: show the states of a model's versions."""

from __future__ import annotations

import argparse
import json

from fovea.serving.client.commands import arguments
from fovea.serving.client.commands.json_values import plain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea status`."""
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument("--version", type=int, metavar="N", help="only this version")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    arguments.add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Print a line for each version, the newest first.

    Args:
        args: The parsed options of `add_arguments`.

    Returns:
        The exit code, 0.

    Raises:
        ClientError: If the server does not return the states.
    """
    from fovea.serving.client.client import Client

    with Client(**arguments.connection(args), timeout=args.timeout) as client:
        versions = client.status(args.model, version=args.version)
    if args.json:
        print(json.dumps(plain(versions), indent=2))
        return 0
    width = max((len(str(each.version)) for each in versions), default=0)
    for each in versions:
        line = f"version {each.version:<{width}}  {each.state:<9}"
        if each.error_code != "OK":
            line += f"  {each.error_code}: {each.error_message}"
        print(line.rstrip())
    return 0
