"""`fovea wait`: block until a model, or the whole server, is ready."""

from __future__ import annotations

import argparse
import time
from typing import Any

from fovea.serving.client.commands import arguments
from fovea.serving.client.errors import ClientError, DeadlineExceeded

_PAUSE_SECONDS = 0.1
# Timeout of one check; a server that never responds must not use up the whole time.
_CHECK_SECONDS = 5.0
# A check with less time left would report its own timeout instead of the state.
_MIN_CHECK_SECONDS = 0.1
# Errors that do not pass: wrong credentials, or not a server of this protocol.
_PERMANENT = ("UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea wait`."""
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        metavar="MODEL",
        help="name of the model (default: check the server's health service, which "
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
        help="give up after this many seconds (default: %(default)g)",
    )
    arguments.add_connection(parser, timeout=None)


def run(args: argparse.Namespace) -> int:
    """Check until the model or server is ready.

    Args:
        args: The parsed options of `add_arguments`.

    Returns:
        The exit code, 0.

    Raises:
        DeadlineExceeded: If it is not ready in time.
        ClientError: If it cannot become ready.
        ValueError: If a version is given without a model.
    """
    if args.version is not None and args.model is None:
        raise ValueError(
            "A version belongs to a model; name the model too. "
            f"Received: --version {args.version}"
        )
    connection = arguments.connection(args)
    end = time.monotonic() + args.timeout
    remaining = args.timeout
    while reason := _why_not_ready(connection, args, min(remaining, _CHECK_SECONDS)):
        time.sleep(_PAUSE_SECONDS)
        remaining = end - time.monotonic()
        if remaining < _MIN_CHECK_SECONDS:
            raise DeadlineExceeded(
                f"Not serving after {args.timeout:g} s: {reason}",
                code="DEADLINE_EXCEEDED",
            )
    subject = f"model {args.model}" if args.model else "server"
    version = f" version {args.version}" if args.version is not None else ""
    print(f"{subject}{version} is serving")
    return 0


def _why_not_ready(
    connection: dict[str, Any], args: argparse.Namespace, timeout: float
) -> str:
    """Check once; return the reason as a sentence, "" if it is ready."""
    from fovea.serving.client.client import Client

    try:
        # Each check has its own client: a channel whose server was away waits before
        # it connects again.
        with Client(**connection, timeout=timeout, max_attempts=1) as client:
            if args.model is None:
                serving = client.is_serving()
                return "" if serving else "The server reports that it is not ready."
            versions = client.status(args.model, version=args.version)
    except ClientError as error:
        if error.code not in _PERMANENT:
            return str(error)
        if error.code == "UNIMPLEMENTED" and args.model is None:
            raise ClientError(
                "The server has no gRPC health service; name a model to wait for.",
                code=error.code,
                details=error.details,
            ) from error
        raise
    if any(each.state == "AVAILABLE" for each in versions):
        return ""
    states = ", ".join(
        f"version {each.version} {each.state}"
        + (f" ({each.error_message})" if each.error_message else "")
        for each in versions
    )
    return f"Model {args.model!r} has {states or 'no versions'}."
