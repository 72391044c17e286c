"""Requests and replies in the terms of HTTP, independent of the HTTP library."""

from __future__ import annotations

import http
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc

Headers = list[tuple[str, str]]

# A few compressed bytes must not fill the memory.
MAX_DECOMPRESSED_BYTES = 100 * 2**20
_GZIP = 16 + zlib.MAX_WBITS

_STATUS = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


@dataclass(frozen=True)
class Request:
    """An HTTP request.

    Attributes:
        method: The method in capitals.
        target: The path, not decoded, and the query with its question mark.
        headers: Values by names in lower case.
        body: The body as it was sent.
        arrived: The time of arrival, by the monotonic clock.
        peer: The client, `address:port`.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    arrived: float = field(default_factory=time.monotonic)
    peer: str = ""


@dataclass(frozen=True)
class Reply:
    """An HTTP response; the server adds its Content-Length."""

    status: int
    headers: Headers
    body: bytes


def http_status(code: grpc.StatusCode) -> int:
    """Return the HTTP status of a canonical code."""
    return _STATUS.get(code, 500)


def error_page(code: int) -> Reply:
    """Return the page for a request outside the API; it closes the connection."""
    phrase = http.HTTPStatus(code).phrase
    page = (
        f"<HTML><HEAD>\n<TITLE>{code} {phrase}</TITLE>\n</HEAD><BODY>\n"
        f"<H1>{phrase}</H1>\n</BODY></HTML>\n"
    )
    headers = [("Content-Type", "text/html"), ("Connection", "close")]
    return Reply(code, headers, page.encode())


def decompressed(request: Request) -> bytes:
    """Return the body, decompressed if it is gzip; empty if that fails."""
    if "gzip" not in request.headers.get("content-encoding", ""):
        return request.body
    stream = zlib.decompressobj(_GZIP)
    try:
        body = stream.decompress(request.body, MAX_DECOMPRESSED_BYTES)
    except zlib.error:
        return b""
    return body if stream.eof else b""
