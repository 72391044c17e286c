"""The ASGI application: it calls the handler in a thread for each HTTP request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from typing import Any

from fovea.serving.server.rest.encoding.pretty import error_body
from fovea.serving.server.rest.messages import Reply, Request, error_page

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 2**31 - 1  # the limit of a gRPC message

_TOO_MANY = error_body("The server is overloaded: too many requests are waiting")


class App:
    """Serves a handler.

    Args:
        handler: Handles a request; it may block.
        pool: Runs the handler.
        max_accepted: How many inference requests may run or wait at the same time; more
            are refused rather than kept in memory.

    Attributes:
        closing: Whether every reply closes its connection.
    """

    def __init__(
        self, handler: Callable[[Request], Reply], pool: Executor, max_accepted: int
    ) -> None:
        self._handler = handler
        self._pool = pool
        self._max_accepted = max_accepted
        self._accepted = 0
        self.closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI defines it."""
        if scope["type"] != "http":
            raise RuntimeError(
                f"ASGI scope type must be http. Received: {scope['type']}"
            )
        body = await _body(receive)
        if body is None:
            reply = error_page(413)
        elif scope["method"] == "POST" and self._accepted >= self._max_accepted:
            reply = Reply(429, [("Content-Type", "application/json")], _TOO_MANY)
        else:
            loop = asyncio.get_running_loop()
            request = _request(scope, body)
            self._accepted += 1
            try:
                reply = await loop.run_in_executor(self._pool, self._handler, request)
            finally:
                self._accepted -= 1
        headers = [
            *reply.headers,
            ("Content-Length", str(len(reply.body))),
            *([("Connection", "close")] if self.closing else []),
        ]
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [
                    (name.lower().encode(), value.encode()) for name, value in headers
                ],
            }
        )
        await send({"type": "http.response.body", "body": reply.body})


async def _body(receive: Receive) -> bytes | None:
    """Read the whole body; return None if it is too long."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":  # the client has disconnected
            return b""
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _request(scope: Scope, body: bytes) -> Request:
    target = scope["raw_path"]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    return Request(
        method=scope["method"],
        target=target.decode("utf-8", "replace"),
        headers={
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
        },
        body=body,
        peer=":".join(map(str, scope["client"] or ())),
    )
