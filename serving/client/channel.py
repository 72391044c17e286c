"""The gRPC channel to a server and its settings."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from serving.client.connection import Connection

# Retries belong to gRPC, which knows whether a call may be repeated: a server that
# is restarting or briefly overloaded is asked again after about 0.1, 0.2 and 0.4 s.
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)

_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", _SERVICE_CONFIG),
    # As TensorFlow Serving itself: tensors are large.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC gives up retrying a request larger than this; by default that is 256 KiB,
    # less than one photograph.
    ("grpc.per_rpc_retry_buffer_size", 16 * 2**20),
    # gRPC gives a connection attempt 20 s; an address that swallows packets would
    # hold a call until its deadline.
    ("grpc.initial_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 1000),
]

_LOOPBACK = re.compile(r"(localhost|127\.[\d.]+|\[::1\]):\d+")


def open_channel(target: str | Sequence[str], **settings: Any) -> grpc.Channel:
    """Open a channel; the connection itself is made at the first call.

    Args:
        target: HOST:PORT of one server, or unix:PATH; dns:///NAME:PORT to spread the
            calls over all addresses of a name; or a sequence of HOST:PORT to spread
            them over those.
        **settings: the fields of Connection.

    Raises:
        ValueError: if `target` is none of these, or a setting is wrong.
        OSError: if a certificate or a key cannot be read.
        ServerUnavailable: if a host name in a sequence cannot be resolved.
    """
    options = _options(target, Connection(**settings))
    return grpc.insecure_channel(target, options=options)


def open_aio_channel(target: str | Sequence[str], **settings: Any) -> grpc.aio.Channel:
    """As `open_channel`, for asyncio; call it where the event loop runs."""
    options = _options(target, Connection(**settings))
    return grpc.aio.insecure_channel(target, options=options)


def _options(target: Any, connection: Connection) -> list[tuple[str, str | int]]:
    _check_target(target)
    options = list(_OPTIONS)
    if _LOOPBACK.fullmatch(target):
        # gRPC obeys $http_proxy even for this machine, where no proxy can reach us
        options.append(("grpc.enable_http_proxy", 0))
    return options


def _check_target(target: str) -> None:
    # gRPC would take a missing port for 443 and a port of 99999 for 34463
    if re.match(r"(unix|unix-abstract|dns|ipv4|ipv6|vsock|xds):", target):
        return
    found = re.fullmatch(r"([^\s/:]+|\[[0-9a-fA-F:.%]+\]):(\d{1,5})", target)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ValueError(
            "The server's address is HOST:PORT, such as 127.0.0.1:8500. "
            f"Received: {target!r}"
        )
