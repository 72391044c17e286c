"""gRPC server reflection: the list of services, for grpcurl and similar tools."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

from fovea.serving.server.rpc.own_threads import in_own_threads

SERVICES = (
    prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name,
    model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
    health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
    reflection.SERVICE_NAME,
)

# An open stream occupies a thread, so streams have a few threads of their own.
STREAMS = 4


class Reflection(reflection.ReflectionServicer):
    """The official servicer with streams that can be ended: a drain waits for them."""

    def __init__(self) -> None:
        super().__init__(SERVICES)
        self._open: set[grpc.ServicerContext] = set()
        self._lock = threading.Lock()
        self.ServerReflectionInfo = in_own_threads(self._info, STREAMS, "reflection")

    def register(self, server: grpc.Server) -> None:
        """Add the service to a server that does not listen yet."""
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(self, server)

    def _info(
        self, requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        with self._lock:
            self._open.add(context)
        try:
            yield from super().ServerReflectionInfo(requests, context)
        finally:
            with self._lock:
                self._open.discard(context)

    def drain(self) -> None:
        """End every stream."""
        with self._lock:
            streams = list(self._open)
        for context in streams:
            context.cancel()
