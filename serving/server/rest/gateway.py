"""The HTTP server: uvicorn in a thread of its own, handlers in a pool of threads."""

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

# TensorFlow Serving's, on which clients with persistent connections rely.
KEEP_ALIVE_SECONDS = 50

# One that runs and the rest waiting, as for gRPC.
REQUESTS_PER_THREAD = 8

# How long requests may still arrive on open connections before these are closed.
QUIET_SECONDS = 0.1
_POLL_SECONDS = 0.01


class Gateway:
    """Listens from its construction until `drain`.

    Args:
        listener: A bound socket, which the gateway closes.
        handler: Handles a request; it may block.
        threads: How many requests are handled at the same time.
    """

    def __init__(
        self, listener: socket.socket, handler: Callable[[Request], Reply], threads: int
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
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(_POLL_SECONDS)

    def _run(self) -> None:
        try:
            self._server.run([self._listener])
        finally:
            self._listener.close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def drain(self, seconds: float) -> bool:
        """Complete the requests that were sent, then close.

        Args:
            seconds: How long that may take.

        Returns:
            Whether every request was completed.
        """
        end = time.monotonic() + seconds
        # A request may be under way on a connection that looks idle: closing it now
        # would lose it. From here on every reply closes its connection.
        self._app.closing = True
        time.sleep(min(QUIET_SECONDS, seconds))
        self._server.should_exit = True
        self._thread.join(max(0.0, end - time.monotonic()))
        self._pool.shutdown(wait=False)
        return not self._thread.is_alive()
