"""`fovea wait`: until a model, or the whole server, serves."""

from __future__ import annotations

import argparse
import time
from typing import Any

from fovea.serving.client.commands import arguments
from fovea.serving.client.errors import ClientError, DeadlineExceeded

_PAUSE_SECONDS = 0.1
# A single look; a server that swallows requests must not take the whole time.
_LOOK_SECONDS = 5.0
# What waiting does not mend: wrong credentials, and what is no such server.
_LASTING = ("UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea wait`."""
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        metavar="MODEL",
        help="the model's name (default: ask the server's health service, which "
        "TensorFlow Serving has with --enable_grpc_healthcheck_service)",
    )
    add(
        "--version",
        type=int,
        metavar="N",
        help="wait for this version (default: for any)",
    )
    add(
        "--timeout",
        type=arguments.positive_float,
        default=60.0,
        metavar="S",
        help="give up after so many seconds (default: %(default)g)",
    )
    arguments.add_connection(parser, timeout=None)


def run(args: argparse.Namespace) -> int:
    """Ask again and again, until it serves.

    Args:
        args: as parsed by the options of `add_arguments`.

    Returns:
        the exit code, 0.

    Raises:
        DeadlineExceeded: if it does not serve in time.
        ClientError: if it never will.
    """
    if args.version is not None and args.model is None:
        raise ValueError(
            "A version belongs to a model; name the model too. "
            f"Received: --version {args.version}"
        )
    settings = arguments.connection(args)
    end = time.monotonic() + args.timeout
    while True:
        left = end - time.monotonic()
        lacking = _lacking(settings, args, max(min(left, _LOOK_SECONDS), 0.01))
        if not lacking:
            break
        if left < _PAUSE_SECONDS:
            raise DeadlineExceeded(
                f"Not serving after {args.timeout:g} s: {lacking}",
                code="DEADLINE_EXCEEDED",
            )
        time.sleep(_PAUSE_SECONDS)
    what = f"model {args.model}" if args.model else "server"
    version = f" version {args.version}" if args.version is not None else ""
    print(f"{what}{version} is serving")
    return 0


def _lacking(settings: dict[str, Any], args: argparse.Namespace, seconds: float) -> str:
    """What keeps it from serving, as a sentence; "" if nothing does."""
    from fovea.serving.client.client import Client

    try:
        # A client a look: one whose server was away pauses before it connects anew
        with Client(**settings, timeout=seconds, max_attempts=1) as client:
            if args.model is None:
                serving = client.is_serving()
                return "" if serving else "The server says that it is not ready."
            found = client.status(args.model, version=args.version)
    except ClientError as error:
        if error.code not in _LASTING:
            return str(error)
        if error.code == "UNIMPLEMENTED" and args.model is None:
            raise ClientError(
                "The server has no gRPC health service; name a model to wait for.",
                code=error.code,
                details=error.details,
            ) from error
        raise
    if any(each.state == "AVAILABLE" for each in found):
        return ""
    states = ", ".join(
        f"version {each.version} {each.state}"
        + (f" ({each.error_message})" if each.error_message else "")
        for each in found
    )
    return f"Model {args.model!r} has {states or 'no versions'}."
