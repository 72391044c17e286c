"""Convert the address of a server to the form that gRPC connects to."""

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
    """The target of a channel.

    Attributes:
        target: The address in gRPC's form.
        hosts: The hosts in the address; none for a Unix socket.
        authority: HOST:PORT to send as the authority of calls; None for gRPC's default.
        balanced: Whether calls are balanced over all addresses of the target.
        direct: Whether to ignore $http_proxy.
    """

    target: str
    hosts: tuple[str, ...] = ()
    authority: str | None = None
    balanced: bool = False
    direct: bool = False


def route(target: str | Sequence[str]) -> Route:
    """Convert the address of a server to the target of a channel.

    Args:
        target: HOST:PORT, a gRPC address with a scheme, or a sequence of HOST:PORT.

    Raises:
        ValueError: If it is none of these.
        ServerUnavailable: If a host name in a sequence cannot be resolved.
    """
    if not isinstance(target, str):
        return _several(target)
    scheme = _SCHEME.match(target)
    if scheme is None:
        host, _ = _host_port(target)
        # gRPC uses $http_proxy even for this machine, which no proxy can reach
        return Route(target, (host,), direct=bool(_LOOPBACK.fullmatch(host)))
    if scheme[1] == "dns":
        host, _ = _host_port(target[4:].rpartition("/")[2])
        loopback = bool(_LOOPBACK.fullmatch(host))
        return Route(target, (host,), balanced=True, direct=loopback)
    return Route(target, balanced=scheme[1] in ("ipv4", "ipv6"))


def _several(targets: Sequence[str]) -> Route:
    """Return one target for several hosts.

    gRPC accepts several numeric addresses as one target, but not several names: these
    are resolved here, once.
    """
    pairs = [_host_port(each) for each in targets]
    if not pairs:
        raise ValueError(
            "A client needs at least one address, HOST:PORT. Received: none"
        )
    addresses = [(ip, port) for host, port in pairs for ip in _resolve(host, port)]
    addresses = list(dict.fromkeys(addresses))
    if all(ip.version == 4 for ip, _ in addresses):
        target = "ipv4:" + ",".join(f"{ip}:{port}" for ip, port in addresses)
    else:
        target = "ipv6:" + ",".join(f"[{_ipv6(ip)}]:{port}" for ip, port in addresses)
    return Route(
        target,
        tuple(host for host, _ in pairs),
        # gRPC would send the whole list as the authority
        authority=targets[0],
        balanced=True,
        # gRPC would send the whole list to a proxy as the host
        direct=True,
    )


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _resolve(host: str, port: int) -> list[_Address]:
    """Return the IPv4 addresses of a host; its IPv6 addresses if it has none."""
    try:
        return [ipaddress.ip_address(host.strip("[]"))]
    except ValueError:
        pass
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ServerUnavailable(
            f"The host name in {host}:{port} cannot be resolved; check the address, "
            "for example 127.0.0.1:8500.",
            code="UNAVAILABLE",
            details=str(error),
        ) from error
    addresses = [ipaddress.ip_address(entry[4][0]) for entry in entries]
    return [ip for ip in addresses if ip.version == 4] or addresses


def _ipv6(ip: _Address) -> str:
    # RFC 4291, 2.5.5.2: how an IPv4 address is written among IPv6 addresses
    return f"::ffff:{ip}" if ip.version == 4 else str(ip)


def _host_port(target: str) -> tuple[str, int]:
    # gRPC would read a missing port as 443 and a port of 99999 as 34463
    match = _HOST_PORT.fullmatch(target) if isinstance(target, str) else None
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError(
            "The server's address is HOST:PORT, such as 127.0.0.1:8500. "
            f"Received: {target!r}"
        )
    return match[1], int(match[2])
