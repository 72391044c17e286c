"""The options that all commands share: which server, reached how, and which model."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

TOKEN_VARIABLE = "FOVEA_TOKEN"


def add_connection(parser: argparse.ArgumentParser, timeout: float | None = 10) -> None:
    """Declare how the server is reached.

    Args:
        parser: of the command.
        timeout: default seconds that a request may take; None if the command has a
            --timeout of its own.
    """
    group = parser.add_argument_group("connection")
    add = group.add_argument
    add(
        "--server",
        default="127.0.0.1:8500",
        metavar="HOST:PORT[,...]",
        help="gRPC address of the server, or several, among which requests are spread "
        "(default: %(default)s)",
    )
    if timeout is not None:
        add(
            "--timeout",
            type=positive_float,
            default=timeout,
            metavar="S",
            help="seconds that a request may take (default: %(default)g)",
        )
    add("--tls", action="store_true", help="encrypt, and check who the server is")
    add("--ca", metavar="FILE", help="trust this authority alone (PEM); means --tls")
    add("--cert", metavar="FILE", help="certificate of this client (PEM), with --key")
    add("--key", metavar="FILE", help="private key of --cert (PEM)")
    add("--server-name", metavar="NAME", help="name that the certificate must bear")
    add(
        "--token",
        metavar="TOKEN",
        help="send this bearer token over TLS; @FILE reads it from a file "
        f"(default where TLS is used: ${TOKEN_VARIABLE})",
    )
    add("--compression", choices=["gzip"], help="compress requests")


def connection(args: argparse.Namespace) -> dict[str, Any]:
    """Turn the options into the keyword arguments of Client that were asked for.

    Raises:
        ValueError: if options contradict each other, or the token's file has none.
        OSError: if the token's file cannot be read.
    """
    servers = args.server.split(",")
    encrypted = args.tls or args.ca or args.cert
    if (args.token or args.server_name) and not encrypted:
        raise ValueError(
            "--token and --server-name are for connections with TLS: give --tls, or "
            "--ca with the authority to trust. Received: neither"
        )
    if bool(args.cert) != bool(args.key):
        raise ValueError(
            "--cert and --key are given together. "
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
            f"A token's file holds the token. Received: {option[1:]}, empty"
        )
    return token


def add_version(parser: argparse.ArgumentParser) -> None:
    """Declare --version and --label, of which one may be given."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--version",
        type=int,
        metavar="N",
        help="version to ask (default: the newest that is ready)",
    )
    which.add_argument("--label", metavar="L", help="version label to ask instead")


def positive_int(text: str) -> int:
    """A type for argparse: 1, 2, ..."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {text}")
    return value


def positive_float(text: str) -> float:
    """A type for argparse: a number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, received {text}")
    return value
