"""The credentials of a connection: TLS certificates and bearer tokens."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from pathlib import Path

import grpc

from fovea.serving.client.transport.connection import Connection, Pem

_TOKEN = re.compile(r"[\x21-\x7e]+")


def channel_credentials(connection: Connection) -> grpc.ChannelCredentials:
    """Return the credentials of an encrypted connection.

    Raises:
        ValueError: If a certificate or a key is not in PEM format, or the token is
            malformed.
        OSError: If a file cannot be read.
    """
    if connection.ca_certificate is None:
        roots = _machine_roots()
    else:
        roots = _read(connection.ca_certificate, "ca_certificate")
    key = certificate = None
    if connection.client_certificate is not None and connection.client_key is not None:
        certificate = _read(connection.client_certificate, "client_certificate")
        key = _read(connection.client_key, "client_key")
    credentials = grpc.ssl_channel_credentials(roots, key, certificate)
    if connection.token is None:
        return credentials
    # Call credentials are sent with the health checks of load balancing, too.
    if callable(connection.token):
        calls = grpc.metadata_call_credentials(_Bearer(connection.token))
    else:
        calls = grpc.access_token_call_credentials(_checked(connection.token))
    return grpc.composite_channel_credentials(credentials, calls)


def _machine_roots() -> bytes | None:
    """Return the authorities that this machine trusts; None for gRPC's own list.

    gRPC for Python ignores the authorities of the operating system, such as those of a
    company; Python's OpenSSL finds them ($SSL_CERT_FILE included).
    """
    if "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" in os.environ:
        return None
    file = ssl.get_default_verify_paths().cafile
    return Path(file).read_bytes() if file else None


def _read(pem: Pem, name: str) -> bytes:
    data = pem if isinstance(pem, bytes) else Path(pem).read_bytes()
    label = b"PRIVATE KEY-----" if name == "client_key" else b"CERTIFICATE-----"
    if b"-----BEGIN " not in data or label not in data:
        shown = f"{len(pem)} bytes" if isinstance(pem, bytes) else repr(str(pem))
        raise ValueError(
            f"{name} is a file in PEM format, or its bytes, with a line such as "
            f"'-----BEGIN {label.decode()}'. Received: {name}={shown}"
        )
    return data


def _checked(token: str) -> str:
    """Return the token without surrounding white space; errors do not show it."""
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise ValueError(
            "A token is printable ASCII text without spaces. "
            f"Received: {len(token)} characters, some of which are others"
        )
    return token


class _Bearer(grpc.AuthMetadataPlugin):
    """Gets the token before each call, so that expired ones are replaced."""

    def __init__(self, token: Callable[[], str]):
        self._token = token

    def __call__(
        self,
        context: grpc.AuthMetadataContext,
        callback: grpc.AuthMetadataPluginCallback,
    ) -> None:
        # gRPC converts an exception from here to the error of the call
        bearer = f"Bearer {_checked(self._token())}"
        callback((("authorization", bearer),), None)
