"""TLS for the gRPC port: `--ssl_config_file`, a text SSLConfig with PEM inside."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import grpc

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.native_stderr import native_stderr_quiet
from fovea.serving.server.text_proto import message_type, read_text_proto

SSLConfig = message_type(
    "SSLConfig",
    {
        "server_key": "string",
        "server_cert": "string",
        "custom_ca": "string",
        "client_verify": "bool",
    },
)


def server_credentials(path: str) -> grpc.ServerCredentials:
    """Read the server's credentials from a file.

    With `client_verify` a client must present a certificate that `custom_ca` signed.

    Args:
        path: The file.

    Raises:
        ServingError: There is no such file, or it holds no usable key and certificate.
    """
    config = read_text_proto(path, SSLConfig())
    if config.client_verify and not config.custom_ca:
        raise invalid_argument(
            f"{path}: client_verify needs custom_ca, the certificates of the "
            "authorities that sign the clients' certificates"
        )
    credentials = grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        config.custom_ca.encode() or None,
        config.client_verify,
    )
    if not _usable(credentials):
        raise invalid_argument(
            f"{path}: server_key, server_cert and custom_ca must be in PEM form, and "
            "server_key must belong to server_cert"
        )
    return credentials


def _usable(credentials: grpc.ServerCredentials) -> bool:
    """Return whether gRPC can listen with the credentials.

    gRPC reads their contents only then, so a server listens on an unused port.
    """
    probe = grpc.server(ThreadPoolExecutor(1))
    try:
        with native_stderr_quiet(), contextlib.suppress(RuntimeError):
            probe.add_secure_port("127.0.0.1:0", credentials)
            return True
    finally:
        probe.stop(None)
    return False
