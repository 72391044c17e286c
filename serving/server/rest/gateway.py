"""The HTTP server: uvicorn on a thread of its own, requests on a pool of threads."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import uvicorn

from fovea.serving.server.rest.app import App
from fovea.serving.server.rest.messages import Reply, Request

log = logging.getLogger(__name__)

# The original's; clients that keep connections count on no less.
KEEP_ALIVE_SECONDS = 50

# One that runs and the rest waiting, as with gRPC.
REQUESTS_PER_THREAD = 8

# How long requests may still arrive on open connections before these are closed.
QUIET_SECONDS = 0.1
_POLL_SECONDS = 0.01


class Gateway:
    """Listens from its making until ``drain``.

    Args:
        holder: A bound socket; it is the gateway's from now on.
        handler: Turns a request into a reply; it may block.
        threads: Requests that are handled at the same time.
    """

    def __init__(
        self, holder: socket.socket, handler: Callable[[Request], Reply], threads: int
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, "rest")
        self._app = App(handler, self._pool, threads * REQUESTS_PER_THREAD)
        config = uvicorn.Config(
            self._app,
            http="httptools",
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._holder = holder
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(_POLL_SECONDS)

    def _run(self) -> None:
        try:
            self._server.run([self._holder])
        finally:
            self._holder.close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._holder.getsockname()[1])

    def drain(self, seconds: float) -> bool:
        """Answer what has been sent, then close.

        Args:
            seconds: How long that may take.

        Returns:
            Whether every request was answered.
        """
        end = time.monotonic() + seconds
        # A connection that is idle may be carrying a request already: to close it now
        # would lose that one. Replies from here on tell their clients to go elsewhere.
        self._app.closing = True
        time.sleep(min(QUIET_SECONDS, seconds))
        self._server.should_exit = True
        self._thread.join(max(0.0, end - time.monotonic()))
        self._pool.shutdown(wait=False)
        return not self._thread.is_alive()
