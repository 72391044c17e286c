"""Opening a gRPC channel to a server, or to several that share the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from fovea.serving.client.transport.addresses import Route, route
from fovea.serving.client.transport.connection import Connection
from fovea.serving.client.transport.service_config import service_config

_OPTIONS: list[tuple[str, str | int]] = [
    # gRPC gives up retrying a request larger than this; by default that is 256 KiB,
    # less than one photograph.
    ("grpc.per_rpc_retry_buffer_size", 16 * 2**20),
    # gRPC waits 1 s before it connects anew, longer than the pauses between the
    # attempts of a call, which would all fail while the server is back already ...
    ("grpc.initial_reconnect_backoff_ms", 100),
    # ... and later up to 120 s: a server that was down for a while comes back unseen.
    ("grpc.max_reconnect_backoff_ms", 10_000),
    # gRPC gives a connection attempt 20 s; an address that swallows packets would
    # hold a call until its deadline. A distant server's handshake of TCP, TLS and
    # HTTP/2 needs four round trips.
    ("grpc.min_reconnect_backoff_ms", 3000),
    # gRPC asks DNS again when a connection ends, but not within 30 s of the last
    # time: by then the replicas of a rolling update have come and gone.
    ("grpc.dns_min_time_between_resolutions_ms", 5000),
]

# How long a server may take to acknowledge what it was sent. Linux ends a connection
# whose packets get no answer for so long (TCP_USER_TIMEOUT, which gRPC sets when
# keep-alive is on): without it, calls go to a machine that has vanished for a quarter
# of an hour, each until its deadline.
_ACKNOWLEDGE_MS = 10_000


def open_channel(target: str | Sequence[str], **settings: Any) -> grpc.Channel:
    """Open a channel; the connection itself is made at the first call.

    Args:
        target: one server: HOST:PORT, or unix:PATH. Several: a sequence of HOST:PORT,
            whose names are looked up now, once; or dns:///NAME:PORT, for all addresses
            of a name, which gRPC looks up again whenever a connection ends. Calls go
            to several in turn (round robin), leaving out those that cannot be reached
            or whose health service says that they are not serving.
        **settings: the fields of Connection.

    Raises:
        ValueError: if `target` is none of these, or a setting is wrong.
        OSError: if a certificate or a key cannot be read.
        ServerUnavailable: if a host name in a sequence cannot be resolved.
    """
    connection = Connection(**settings)
    to = route(target)
    options = _options(to, connection)
    compression = _compression(connection)
    if connection.encrypted:
        from fovea.serving.client.transport.credentials import channel_credentials

        credentials = channel_credentials(connection)
        channel = grpc.secure_channel(to.target, credentials, options, compression)
    else:
        channel = grpc.insecure_channel(to.target, options, compression)
    if connection.metadata:
        from fovea.serving.client.transport.call_metadata import AddMetadata

        channel = grpc.intercept_channel(channel, AddMetadata(connection.metadata))
    return channel


def open_aio_channel(target: str | Sequence[str], **settings: Any) -> grpc.aio.Channel:
    """As `open_channel`, for asyncio; call it where the event loop runs."""
    connection = Connection(**settings)
    to = route(target)
    options = _options(to, connection)
    compression = _compression(connection)
    interceptors = []
    if connection.metadata:
        from fovea.serving.client.transport.call_metadata import AddAioMetadata

        interceptors.append(AddAioMetadata(connection.metadata))
    if connection.encrypted:
        from fovea.serving.client.transport.credentials import channel_credentials

        credentials = channel_credentials(connection)
        return grpc.aio.secure_channel(
            to.target, credentials, options, compression, interceptors
        )
    return grpc.aio.insecure_channel(to.target, options, compression, interceptors)


def _options(to: Route, connection: Connection) -> list[tuple[str, str | int]]:
    limit = connection.max_message_bytes
    options = [
        *_OPTIONS,
        (
            "grpc.service_config",
            service_config(connection.max_attempts, balanced=to.balanced),
        ),
        # -1, as TensorFlow Serving itself: tensors are large
        ("grpc.max_send_message_length", -1 if limit is None else limit),
        ("grpc.max_receive_message_length", -1 if limit is None else limit),
    ]
    if connection.keepalive is not None:
        options.append(("grpc.keepalive_time_ms", round(connection.keepalive * 1000)))
        options.append(("grpc.keepalive_timeout_ms", _ACKNOWLEDGE_MS))
    if to.direct:
        options.append(("grpc.enable_http_proxy", 0))
    authority = _authority(to, connection)
    if authority is not None:
        options.append(("grpc.default_authority", authority))
    return options


def _authority(to: Route, connection: Connection) -> str | None:
    """What calls name as their server, and what its certificate must bear."""
    if connection.server_name is not None:
        return connection.server_name
    if connection.encrypted and len(set(to.hosts)) > 1:
        # gRPC checks all certificates of a channel against one name
        raise ValueError(
            "Several servers with TLS share one name, which each certificate bears: "
            f"say it as server_name. Received: {', '.join(to.hosts)}"
        )
    return to.authority


def _compression(connection: Connection) -> grpc.Compression | None:
    return None if connection.compression is None else grpc.Compression.Gzip
