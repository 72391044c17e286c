"""Keeps other pages away from this one, and this one away from the network.

A page that answers on 127.0.0.1 can be reached by every page that the browser shows.
Another site's script could ask it by a name that it has pointed here (DNS rebinding);
such a name is neither an IP address nor `localhost`, so it is refused. Requests that
carry pictures must come from the page itself, which the browser says in `Origin`.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # Nothing from elsewhere, nothing inline, no frame around it.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # A newer fovea's script must not meet an older one's page.
    "Cache-Control": "no-cache",
}


class Guard:
    """ASGI middleware: refuses strangers, and adds `HEADERS` to every response.

    Args:
        app: what answers the others.
        host: the name that the page is served under, besides IP addresses and
            `localhost`.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._host = host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        refused = self._refusal(headers.get("host", ""), headers.get("origin"))
        if refused is None:
            await self._app(scope, receive, send_guarded)
            return
        response = JSONResponse({"error": refused}, status_code=403)
        await response(scope, receive, send_guarded)

    def _refusal(self, host: str, origin: str | None) -> str | None:
        name = _name(host)
        if name not in ("localhost", self._host) and not _is_address(name):
            return (
                "The page is reached by an IP address, as localhost or by the name "
                f"given to --host. Received: Host: {host}"
            )
        if origin is not None and origin.partition("://")[2] != host:
            return f"Only the page itself may ask. Received: Origin: {origin}"
        return None


def _name(host: str) -> str:
    """Return a Host header's name or address without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
