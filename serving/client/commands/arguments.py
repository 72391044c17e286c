"""The options that the client's commands share: connection and model version."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

TOKEN_VARIABLE = "FOVEA_TOKEN"


def add_connection(parser: argparse.ArgumentParser, timeout: float | None = 10) -> None:
    """Declare the options of the connection to the server.

    Args:
        parser: The parser of the command.
        timeout: Default of --timeout, in seconds per request; None if the command
            declares a --timeout of its own.
    """
    group = parser.add_argument_group("connection")
    add = group.add_argument
    add(
        "--server",
        default="127.0.0.1:8500",
        metavar="HOST:PORT[,...]",
        help="gRPC address of the server, or of several, which requests are balanced "
        "over (default: %(default)s)",
    )
    if timeout is not None:
        add(
            "--timeout",
            type=positive_float,
            default=timeout,
            metavar="S",
            help="timeout of a request in seconds (default: %(default)g)",
        )
    add("--tls", action="store_true", help="use TLS and verify the server")
    add("--ca", metavar="FILE", help="trust only this authority (PEM); implies --tls")
    add("--cert", metavar="FILE", help="client certificate (PEM), with --key")
    add("--key", metavar="FILE", help="private key of --cert (PEM)")
    add("--server-name", metavar="NAME", help="name expected in the certificate")
    add(
        "--token",
        metavar="TOKEN",
        help="send this bearer token, over TLS only; @FILE reads it from a file "
        f"(default with TLS: ${TOKEN_VARIABLE})",
    )
    add("--compression", choices=["gzip"], help="compress requests")


def connection(args: argparse.Namespace) -> dict[str, Any]:
    """Convert the options to keyword arguments of `Client`, leaving out defaults.

    Raises:
        ValueError: If options contradict each other, or the token file is empty.
        OSError: If the token file cannot be read.
    """
    servers = args.server.split(",")
    encrypted = args.tls or args.ca or args.cert
    if (args.token or args.server_name) and not encrypted:
        raise ValueError(
            "--token and --server-name are for connections with TLS: add --tls, or "
            "--ca with the authority to trust. Received: neither"
        )
    if bool(args.cert) != bool(args.key):
        raise ValueError(
            "--cert and --key must be given together. "
            f"Received: {'--cert' if args.cert else '--key'} alone"
        )
    settings = {
        "target": servers if len(servers) > 1 else args.server,
        "tls": args.tls,
        "ca_certificate": args.ca,
        "client_certificate": args.cert,
        "client_key": args.key,
        "server_name": args.server_name,
        "token": _token(args.token),
        "compression": args.compression,
    }
    if encrypted:
        settings["token"] = settings["token"] or os.environ.get(TOKEN_VARIABLE)
    return {name: value for name, value in settings.items() if value}


def _token(option: str | None) -> str | None:
    if option is None or not option.startswith("@"):
        return option
    token = Path(option[1:]).read_text().strip()
    if not token:
        raise ValueError(
            f"The token file must hold the token. Received: {option[1:]}, empty"
        )
    return token


def add_version(parser: argparse.ArgumentParser) -> None:
    """Declare --version and --label, which exclude each other."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--version",
        type=int,
        metavar="N",
        help="version to call (default: the newest that is ready)",
    )
    group.add_argument("--label", metavar="L", help="version label to call instead")


def positive_int(text: str) -> int:
    """Parse an integer of at least 1; a type for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {text}")
    return value


def positive_float(text: str) -> float:
    """Parse a finite number above 0; a type for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, received {text}")
    return value
