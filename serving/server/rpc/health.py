"""gRPC health v1: the whole server, its services and each model.

The names `""`, `PredictionService` and `ModelService` are TensorFlow Serving's; the
full service names and `model/NAME` are ours. The whole server is SERVING from the
moment its port opens until it drains; a model is SERVING while a version of it is
available.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from fovea.serving.server.rpc.own_threads import in_own_threads

_SERVER_NAMES = (
    "",
    "PredictionService",
    "ModelService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


class Health:
    """The health of a server and of its models.

    Attributes:
        servicer: The official servicer, to be registered with a gRPC server.
    """

    def __init__(self) -> None:
        self.servicer = _Servicer()
        self._set("", False)

    def _set(self, name: str, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        self.servicer.set(name, status.SERVING if serving else status.NOT_SERVING)

    def server_ready(self) -> None:
        """Set the whole server to SERVING."""
        for name in _SERVER_NAMES:
            self._set(name, True)

    def model(self, name: str, available: bool) -> None:
        """Set a model to SERVING if any version of it is available."""
        self._set(f"model/{name}", available)

    def drain(self) -> None:
        """Set every name to NOT_SERVING for good, and end all watches."""
        self.servicer.enter_graceful_shutdown()
        self.servicer.end_watches()


class _Servicer(health.HealthServicer):
    """The official servicer with watches that can be ended: a drain waits for them."""

    def __init__(self) -> None:
        # Non-blocking: a client that watches must not occupy a thread of the server.
        super().__init__(
            experimental_non_blocking=True,
            experimental_thread_pool=ThreadPoolExecutor(1, "health"),
        )
        # A health check must not wait for the calls that are served.
        self.Check = in_own_threads(super().Check, 1, "health")
        self._watches: set[Callable[[Any], None]] = set()
        self._watches_lock = threading.Lock()

    def Watch(
        self,
        request: Any,
        context: grpc.ServicerContext,
        send_response_callback: Any = None,
    ) -> Any:
        with self._watches_lock:
            self._watches.add(send_response_callback)
        context.add_callback(lambda: self._forget(send_response_callback))
        return super().Watch(request, context, send_response_callback)

    def _forget(self, watch: Callable[[Any], None]) -> None:
        with self._watches_lock:
            self._watches.discard(watch)

    def end_watches(self) -> None:
        """Close the stream of every client that watches."""
        with self._watches_lock:
            watches = list(self._watches)
        for end in watches:
            end(None)
