"""The settings of a connection to a model server."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

# The path of a PEM file, or its bytes.
Pem: TypeAlias = str | os.PathLike[str] | bytes

# The characters that gRPC allows: doc/PROTOCOL-HTTP2.md, "Custom-Metadata".
_KEY = re.compile(r"[0-9a-z_.-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True)
class Connection:
    """How to connect to a server; every field is a keyword argument of the clients.

    Attributes:
        tls: Use TLS, and verify the server's certificate with the authorities that this
            machine trusts.
        ca_certificate: PEM file, or its bytes, of the authorities to trust instead;
            implies TLS, as a client certificate does.
        client_certificate: PEM file, or its bytes, with the certificate of this client
            for servers that require one (mutual TLS); needs `client_key`.
        client_key: PEM file, or its bytes, with its private key.
        server_name: Name expected in the server's certificate, if it differs from the
            host in the address.
        token: Sent with each call as `authorization: Bearer TOKEN`; or a function that
            returns the token, which is called before each call. Over TLS only, since
            it could be read on the way otherwise. (Where something else encrypts, such
            as a service mesh, put {"authorization": "Bearer ..."} in `metadata`.)
        metadata: Further keys and values to send with each call; values are text, or
            bytes where the key ends in "-bin".
        compression: "gzip" to compress requests, None not to.
        keepalive: Seconds without traffic after which a call under way pings the
            server; None never pings. gRPC servers in C++ and Python close connections
            that ping more often than every 300 s by default
            (grpc.http2.min_recv_ping_interval_without_data_ms).
        max_attempts: How often a call is sent while the server is UNAVAILABLE, 1 to 5;
            the pauses are about 0.1, 0.2, 0.4 and 0.8 s.
        max_message_bytes: The largest request or response in bytes; None for no limit,
            as in TensorFlow Serving.

    Raises:
        ValueError: If a value is out of its range or contradicts another.
    """

    tls: bool = False
    ca_certificate: Pem | None = None
    client_certificate: Pem | None = None
    client_key: Pem | None = field(default=None, repr=False)
    server_name: str | None = None
    token: str | Callable[[], str] | None = field(default=None, repr=False)
    metadata: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    compression: str | None = None
    keepalive: float | None = 330.0
    max_attempts: int = 4
    max_message_bytes: int | None = None

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        given = (self.ca_certificate, self.client_certificate)
        return self.tls or any(each is not None for each in given)

    def __post_init__(self) -> None:
        if (self.client_certificate is None) != (self.client_key is None):
            given = "client_key" if self.client_certificate is None else "no client_key"
            raise ValueError(
                "A client certificate and its key must be given together. "
                f"Received: {given}, client_certificate={self.client_certificate!r}"
            )
        for name in ("server_name", "token"):
            if getattr(self, name) is not None and not self.encrypted:
                raise ValueError(
                    f"A {name} is for connections with TLS: pass tls=True, or the "
                    f"ca_certificate to trust. Received: {name} without TLS"
                )
        if self.compression not in (None, "gzip"):
            raise ValueError(
                "Compression is 'gzip' or None. "
                f"Received: compression={self.compression!r}"
            )
        if self.keepalive is not None and not self.keepalive >= 1:
            raise ValueError(
                "Keep-alive is at least 1 s, or None for none. "
                f"Received: keepalive={self.keepalive!r}"
            )
        if self.max_attempts not in range(1, 6):
            raise ValueError(
                "A call is sent 1 to 5 times, which is gRPC's limit. "
                f"Received: max_attempts={self.max_attempts!r}"
            )
        if self.max_message_bytes is not None and not (
            0 < self.max_message_bytes < 2**31
        ):
            raise ValueError(
                "The largest message is above 0 and below 2**31 bytes. "
                f"Received: max_message_bytes={self.max_message_bytes!r}"
            )
        for key, value in self.metadata.items():
            _check_metadata(key, value)
        if self.token is not None and "authorization" in self.metadata:
            raise ValueError(
                "A call has one authorization: a token, or a key of that name in "
                "metadata. Received: both"
            )


def _check_metadata(key: str, value: str | bytes) -> None:
    # Values may be secrets, so errors do not show them.
    if not _KEY.fullmatch(key) or key.startswith("grpc-"):
        raise ValueError(
            "A key of metadata has lower-case letters, digits, '_', '-' and '.', and "
            f"does not begin with 'grpc-'. Received: {key!r}"
        )
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise ValueError(
                "Metadata whose key ends in '-bin' is bytes. "
                f"Received: {type(value).__name__} for {key!r}"
            )
    elif not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise ValueError(
            "Metadata is printable ASCII text, or bytes where the key ends in '-bin'. "
            f"Received: something else for {key!r}"
        )
