"""Isolate the page from other pages in the browser, and from the network.

Every page in a browser can send requests to 127.0.0.1. A script of another site could
do so by a host name that it has pointed here (DNS rebinding); such a name is neither an
IP address nor `localhost`, so it is rejected. Requests with images must come from the
page itself, whose origin the browser sends in `Origin`.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # Nothing from other hosts, nothing inline, no embedding in frames.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # After an update, scripts and page must have the same version.
    "Cache-Control": "no-cache",
}


class Guard:
    """ASGI middleware that rejects foreign requests and adds `HEADERS` to responses.

    Args:
        app: The application that receives the other requests.
        host: Host name of the page, which is accepted besides IP addresses and
            `localhost`.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._host = host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or respond with status 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        reason = self._rejection(headers.get("host", ""), headers.get("origin"))
        if reason is None:
            await self._app(scope, receive, send_guarded)
            return
        response = JSONResponse({"error": reason}, status_code=403)
        await response(scope, receive, send_guarded)

    def _rejection(self, host: str, origin: str | None) -> str | None:
        name = _name(host)
        if name not in ("localhost", self._host) and not _is_address(name):
            return (
                "The host of the page is an IP address, localhost or the name given "
                f"to --host. Received: Host: {host}"
            )
        if origin is not None and origin.partition("://")[2] != host:
            return f"Only the page itself may send requests. Received: Origin: {origin}"
        return None


def _name(host: str) -> str:
    """Return the name or address in a Host header in lower case, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
