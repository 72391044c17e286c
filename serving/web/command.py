"""`fovea web`: serve the page."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
from types import FrameType
from typing import TYPE_CHECKING

from fovea.serving.client.commands import arguments

if TYPE_CHECKING:
    from starlette.applications import Starlette


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea web`."""
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="a model to choose from; repeat it for several (default: the page has a "
        "field for the name)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8600,
        help="port to listen on; 0 takes a free one (default: %(default)s)",
    )
    arguments.add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        args: The parsed options of `add_arguments`.

    Returns:
        The exit code, 0.

    Raises:
        ValueError: If an option is invalid, or the address is unavailable.
        OSError: If a certificate, a key or the token cannot be read.
    """
    from fovea.serving.client.transport.channel import open_channel
    from fovea.serving.web.app import make_app

    connection = arguments.connection(args)
    open_channel(**connection).close()  # so that errors are raised before the page
    with (
        _listen(args.host, args.port) as listening,
        contextlib.suppress(KeyboardInterrupt),
    ):
        signal.signal(signal.SIGTERM, _interrupt)
        app = make_app({**connection, "timeout": args.timeout}, args.model, args.host)
        print(f"{_url(listening)} uses the server at {args.server}", flush=True)
        if not ipaddress.ip_address(listening.getsockname()[0]).is_loopback:
            print("Everyone who can reach this machine can use the page.", flush=True)
        _serve(app, listening)
    return 0


def _serve(app: Starlette, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    # On Ctrl-C and SIGTERM it shuts down, and raises the signal again.
    uvicorn.Server(config).run(sockets=[listening])


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ValueError: If the address is unavailable.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"A port is a number from 0 to 65535. Received: port={port}")
    try:
        address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[4][:2], family=address[0])
    except OSError as error:
        # Python adds the address to the system's message; getaddrinfo has error
        # numbers below 0 and messages of its own.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        hint = "; --port chooses another" if port else ""
        raise ValueError(
            f"The page cannot listen at this address: {reason}{hint}. "
            f"Received: host={host}, port={port}"
        ) from None


def _url(listening: socket.socket) -> str:
    address, port = listening.getsockname()[:2]
    name = f"[{address}]" if listening.family == socket.AF_INET6 else address
    return f"http://{name}:{port}"
