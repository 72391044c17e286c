"""TLS and tokens: who the server is, and who asks it."""

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
    """The credentials of an encrypted connection.

    Raises:
        ValueError: if a certificate or a key is not PEM, or the token not usable.
        OSError: if a file cannot be read.
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
    # As call credentials the token reaches the health checks of balancing, too.
    if callable(connection.token):
        calls = grpc.metadata_call_credentials(_Bearer(connection.token))
    else:
        calls = grpc.access_token_call_credentials(_checked(connection.token))
    return grpc.composite_channel_credentials(credentials, calls)


def _machine_roots() -> bytes | None:
    """What this machine trusts; None lets gRPC use the list that it brings along.

    gRPC for Python does not look at the operating system's authorities, where those
    of a company are; OpenSSL, which Python uses, knows where they are ($SSL_CERT_FILE
    included).
    """
    if "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" in os.environ:
        return None
    file = ssl.get_default_verify_paths().cafile
    return Path(file).read_bytes() if file else None


def _read(pem: Pem, name: str) -> bytes:
    data = pem if isinstance(pem, bytes) else Path(pem).read_bytes()
    kind = b"PRIVATE KEY-----" if name == "client_key" else b"CERTIFICATE-----"
    if b"-----BEGIN " not in data or kind not in data:
        shown = f"{len(pem)} bytes" if isinstance(pem, bytes) else repr(str(pem))
        raise ValueError(
            f"{name} is a file in PEM form, or its bytes, with a line such as "
            f"'-----BEGIN {kind.decode()}'. Received: {name}={shown}"
        )
    return data


def _checked(token: str) -> str:
    """The token without the line end that a file has; never shown in an error."""
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise ValueError(
            "A token is printable ASCII text without spaces. "
            f"Received: {len(token)} characters, not all of them such"
        )
    return token


class _Bearer(grpc.AuthMetadataPlugin):
    """Asks for the token before each call: tokens that expire are replaced so."""

    def __init__(self, token: Callable[[], str]):
        self._token = token

    def __call__(
        self,
        context: grpc.AuthMetadataContext,
        callback: grpc.AuthMetadataPluginCallback,
    ) -> None:
        # gRPC turns an exception from here into the error of the call
        bearer = f"Bearer {_checked(self._token())}"
        callback((("authorization", bearer),), None)
