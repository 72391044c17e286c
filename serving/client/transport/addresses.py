"""From the address that a person gives to the one that gRPC dials."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from fovea.serving.client.errors import ServerUnavailable

_SCHEME = re.compile(r"(unix|unix-abstract|dns|ipv4|ipv6|vsock|xds):")
_HOST_PORT = re.compile(r"([^\s/:,]+|\[[0-9a-fA-F:.%]+\]):(\d{1,5})")
_LOOPBACK = re.compile(r"localhost|127\.[\d.]+|\[::1\]")


@dataclass(frozen=True)
class Route:
    """Where a channel leads.

    Attributes:
        target: gRPC's own form of the address.
        hosts: the hosts that were named; none for a socket of this machine.
        authority: HOST:PORT that calls name as their server, if gRPC would not know.
        balanced: whether the calls are spread over all addresses behind it.
        direct: whether $http_proxy is not for it.
    """

    target: str
    hosts: tuple[str, ...] = ()
    authority: str | None = None
    balanced: bool = False
    direct: bool = False


def route(target: str | Sequence[str]) -> Route:
    """Find out where an address leads.

    Args:
        target: HOST:PORT, a gRPC address with a scheme, or a sequence of HOST:PORT.

    Raises:
        ValueError: if it is none of these.
        ServerUnavailable: if a host name in a sequence cannot be resolved.
    """
    if not isinstance(target, str):
        return _several(target)
    scheme = _SCHEME.match(target)
    if scheme is None:
        host, _ = _host_port(target)
        # gRPC obeys $http_proxy even for this machine, where no proxy can reach us
        return Route(target, (host,), direct=bool(_LOOPBACK.fullmatch(host)))
    if scheme[1] == "dns":
        host, _ = _host_port(target[4:].rpartition("/")[2])
        loopback = bool(_LOOPBACK.fullmatch(host))
        return Route(target, (host,), balanced=True, direct=loopback)
    return Route(target, balanced=scheme[1] in ("ipv4", "ipv6"))


def _several(targets: Sequence[str]) -> Route:
    """One gRPC address of several hosts.

    gRPC dials several numeric addresses as one target, but not several names: those
    are looked up here, once.
    """
    pairs = [_host_port(each) for each in targets]
    if not pairs:
        raise ValueError(
            "A server is reached by at least one address, HOST:PORT. Received: none"
        )
    found = [(ip, port) for host, port in pairs for ip in _resolve(host, port)]
    found = list(dict.fromkeys(found))
    if all(ip.version == 4 for ip, _ in found):
        dialled = "ipv4:" + ",".join(f"{ip}:{port}" for ip, port in found)
    else:
        dialled = "ipv6:" + ",".join(f"[{_six(ip)}]:{port}" for ip, port in found)
    return Route(
        dialled,
        tuple(host for host, _ in pairs),
        # gRPC would name the whole list as the server
        authority=targets[0],
        balanced=True,
        # and ask a proxy for the whole list
        direct=True,
    )


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _resolve(host: str, port: int) -> list[_Address]:
    """The IPv4 addresses of a host, or its IPv6 addresses if it has no others."""
    try:
        return [ipaddress.ip_address(host.strip("[]"))]
    except ValueError:
        pass
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ServerUnavailable(
            f"The host name in {host}:{port} cannot be resolved; check the address, "
            "for example 127.0.0.1:8500.",
            code="UNAVAILABLE",
            details=str(error),
        ) from error
    found = [ipaddress.ip_address(answer[4][0]) for answer in answers]
    return [ip for ip in found if ip.version == 4] or found


def _six(ip: _Address) -> str:
    # RFC 4291, 2.5.5.2: how an IPv4 address is written among IPv6 addresses
    return f"::ffff:{ip}" if ip.version == 4 else str(ip)


def _host_port(target: str) -> tuple[str, int]:
    # gRPC would take a missing port for 443 and a port of 99999 for 34463
    found = _HOST_PORT.fullmatch(target) if isinstance(target, str) else None
    if found is None or not 0 < int(found[2]) < 65536:
        raise ValueError(
            "The server's address is HOST:PORT, such as 127.0.0.1:8500. "
            f"Received: {target!r}"
        )
    return found[1], int(found[2])
