"""The TCP port before gRPC listens on it."""

from __future__ import annotations

import socket

import grpc

from fovea.serving.server.errors import ServingError


def reserve(host: str, port: int) -> socket.socket:
    """Bind a port at the start, so that a port in use is an error before any loading.

    The socket does not listen: until the server is ready, connections are refused.

    Args:
        host: The address or name to bind, an IPv6 address with or without brackets.
        port: The port; 0 for any free one.

    Returns:
        The bound socket, to be closed right before gRPC binds the port.

    Raises:
        ServingError: The address cannot be bound.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        )[0]
    except OSError as error:
        raise ServingError(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"--bind={host} is not an address: {error.strerror}",
        ) from None
    holder = socket.socket(family, kind)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where REUSEADDR steals
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:  # as gRPC does: connections of a former server may still be closing
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind(address)
    except OSError as error:
        holder.close()
        raise cannot_listen(join(host, port), str(error.strerror)) from None
    return holder


def cannot_listen(address: str, reason: str) -> ServingError:
    """Return the error of an address that is in use or not of this machine."""
    return ServingError(
        grpc.StatusCode.UNAVAILABLE,
        f"cannot listen on {address}: {reason}; stop what uses it or choose another",
    )


def join(host: str, port: int) -> str:
    """Return `host:port`, with the brackets that an IPv6 address needs."""
    host = host.strip("[]")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
