"""Open a gRPC channel to one server, or to several that calls are balanced over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from fovea.serving.client.transport.addresses import Route, route
from fovea.serving.client.transport.connection import Connection
from fovea.serving.client.transport.service_config import service_config

_OPTIONS: list[tuple[str, str | int]] = [
    # gRPC does not retry requests larger than this; the default of 256 KiB is less
    # than one photograph.
    ("grpc.per_rpc_retry_buffer_size", 16 * 2**20),
    # gRPC waits 1 s before it reconnects, longer than the pauses between the attempts
    # of a call, which would all fail although the server is back ...
    ("grpc.initial_reconnect_backoff_ms", 100),
    # ... and later up to 120 s, in which a server that is back goes unnoticed.
    ("grpc.max_reconnect_backoff_ms", 10_000),
    # gRPC lets a connection attempt take 20 s; an address that drops packets would
    # block a call until its deadline. The handshakes of TCP, TLS and HTTP/2 with a
    # distant server need four round trips.
    ("grpc.min_reconnect_backoff_ms", 3000),
    # gRPC resolves names again when a connection ends, but not within 30 s of the
    # last time, in which a rolling update may replace all replicas.
    ("grpc.dns_min_time_between_resolutions_ms", 5000),
]

# How long a server may take to acknowledge packets. Linux closes a connection after
# that (TCP_USER_TIMEOUT, which gRPC sets when keep-alive is on); without it, calls go
# to a machine that has vanished for a quarter of an hour, each until its deadline.
_ACKNOWLEDGE_MS = 10_000


def open_channel(target: str | Sequence[str], **settings: Any) -> grpc.Channel:
    """Open a channel; the connection is made at the first call.

    Args:
        target: One server: HOST:PORT, or unix:PATH. Several: a sequence of HOST:PORT,
            whose names are resolved now, once; or dns:///NAME:PORT, for all addresses
            of a name, which gRPC resolves again whenever a connection ends. Calls are
            sent to several servers in turn (round robin), except to those that cannot
            be reached or whose health service reports that they are not serving.
        **settings: The fields of `Connection`.

    Raises:
        ValueError: If `target` is none of these, or a setting is invalid.
        OSError: If a certificate or a key cannot be read.
        ServerUnavailable: If a host name in a sequence cannot be resolved.
    """
    connection = Connection(**settings)
    resolved = route(target)
    options = _options(resolved, connection)
    compression = _compression(connection)
    if connection.encrypted:
        from fovea.serving.client.transport.credentials import channel_credentials

        credentials = channel_credentials(connection)
        channel = grpc.secure_channel(
            resolved.target, credentials, options, compression
        )
    else:
        channel = grpc.insecure_channel(resolved.target, options, compression)
    if connection.metadata:
        from fovea.serving.client.transport.call_metadata import AddMetadata

        channel = grpc.intercept_channel(channel, AddMetadata(connection.metadata))
    return channel


def open_aio_channel(target: str | Sequence[str], **settings: Any) -> grpc.aio.Channel:
    """Open a channel as `open_channel` does, for the running event loop."""
    connection = Connection(**settings)
    resolved = route(target)
    options = _options(resolved, connection)
    compression = _compression(connection)
    interceptors = []
    if connection.metadata:
        from fovea.serving.client.transport.call_metadata import AddAioMetadata

        interceptors.append(AddAioMetadata(connection.metadata))
    if connection.encrypted:
        from fovea.serving.client.transport.credentials import channel_credentials

        credentials = channel_credentials(connection)
        return grpc.aio.secure_channel(
            resolved.target, credentials, options, compression, interceptors
        )
    return grpc.aio.insecure_channel(
        resolved.target, options, compression, interceptors
    )


def _options(resolved: Route, connection: Connection) -> list[tuple[str, str | int]]:
    limit = connection.max_message_bytes
    options = [
        *_OPTIONS,
        (
            "grpc.service_config",
            service_config(connection.max_attempts, balanced=resolved.balanced),
        ),
        # -1 is no limit, as in TensorFlow Serving: tensors are large
        ("grpc.max_send_message_length", -1 if limit is None else limit),
        ("grpc.max_receive_message_length", -1 if limit is None else limit),
    ]
    if connection.keepalive is not None:
        options.append(("grpc.keepalive_time_ms", round(connection.keepalive * 1000)))
        options.append(("grpc.keepalive_timeout_ms", _ACKNOWLEDGE_MS))
    if resolved.direct:
        options.append(("grpc.enable_http_proxy", 0))
    authority = _authority(resolved, connection)
    if authority is not None:
        options.append(("grpc.default_authority", authority))
    return options


def _authority(resolved: Route, connection: Connection) -> str | None:
    """Return the authority of calls, which is the name expected in the certificate."""
    if connection.server_name is not None:
        return connection.server_name
    if connection.encrypted and len(set(resolved.hosts)) > 1:
        # gRPC checks all certificates of a channel against one name
        raise ValueError(
            "Several servers with TLS need one name that is in each certificate: pass "
            f"it as server_name. Received: {', '.join(resolved.hosts)}"
        )
    return resolved.authority


def _compression(connection: Connection) -> grpc.Compression | None:
    return None if connection.compression is None else grpc.Compression.Gzip
