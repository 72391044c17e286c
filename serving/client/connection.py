"""The settings of a connection to a model server."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# A file's path, or the bytes of PEM themselves.
Pem = str | os.PathLike[str] | bytes


@dataclass(frozen=True)
class Connection:
    """How a server is reached; every field is a keyword argument of Client.

    Attributes:
        tls: encrypt, and check the server's certificate against the roots that this
            machine trusts. Any of the next four fields means the same.
        ca_certificate: PEM file, or its bytes, of the authorities to trust instead.
        client_certificate: PEM file, or its bytes, that names this client to a server
            that asks for it (mutual TLS); with `client_key`.
        client_key: PEM file, or its bytes, of the private key.
        server_name: name that the server's certificate must bear, if it is another
            than the host in the address.
        token: sent with each call as `authorization: Bearer TOKEN`, or a function
            that returns it, asked before each call; over TLS only.
        metadata: further keys and values for each call; keys in lower case, values
            text, or bytes where the key ends in "-bin".
        compression: "gzip" compresses requests; None does not.
        keepalive: seconds of silence after which a call under way asks whether the
            server is still there; None never asks.
        max_attempts: how often a call is sent, 1 to 5, while the server is
            UNAVAILABLE; with a growing pause from 0.1 s on.
        max_message_bytes: refuse requests and answers above this size; None takes
            all that fits into memory, as TensorFlow Serving does.

    Raises:
        ValueError: if a value is out of its range or contradicts another.
    """

    tls: bool = False
    ca_certificate: Pem | None = None
    client_certificate: Pem | None = None
    client_key: Pem | None = None
    server_name: str | None = None
    token: str | Callable[[], str] | None = None
    metadata: Mapping[str, str | bytes] = field(default_factory=dict)
    compression: str | None = None
    keepalive: float | None = 30.0
    max_attempts: int = 4
    max_message_bytes: int | None = None
