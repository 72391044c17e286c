"""A small classifier behind a real gRPC server, without TensorFlow, to be killed.

    python -m tests.client.faults.replica PORT VERSION SECONDS

It classifies images of two pixels: the label is the number that these two bytes encode.
The response to other inputs has no label. Its messages are the client's own, which
other tests compare with TensorFlow Serving's.
"""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fovea.serving.protocol import wire_pb2
from fovea.serving.protocol.tensors import array_to_tensor, tensor_to_array


def images(count: int) -> np.ndarray:
    """uint8 images [count, 1, 2, 1]; the label of image n is n."""
    numbers = np.arange(count, dtype=">u2")
    return numbers.view(np.uint8).reshape(count, 1, 2, 1)


class Classifier:
    """The implementation of Predict.

    Attributes:
        version: the model version of its responses.
        gate: calls wait while it is not set.
        seconds: how long each call takes.
        calls: how many it has received.
        refusal: the status code that every call fails with, if any.
        token: the only bearer token that is accepted; None for any.
        padding: size in bytes of an additional output.
        metadata: of the last call.
    """

    def __init__(self, version: int):
        self.version = version
        self.gate = threading.Event()
        self.gate.set()
        self.seconds = 0.0
        self.calls = 0
        self.refusal: grpc.StatusCode | None = None
        self.token: str | None = None
        self.padding = 0
        self.metadata: dict[str, Any] = {}

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.metadata = {pair.key: pair.value for pair in context.invocation_metadata()}
        self._check_token(context)
        self.calls += 1
        if self.refusal is not None:
            context.abort(self.refusal, "The batch queue is full")
        self.gate.wait()
        time.sleep(self.seconds)
        response = wire_pb2.PredictResponse()
        response.model_spec.version.value = self.version
        for name, values in self._outputs(request).items():
            response.outputs[name].CopyFrom(array_to_tensor(values))
        return response

    def _outputs(self, request: Any) -> dict[str, Any]:
        padding = {"padding": np.zeros(self.padding, np.uint8)}
        if "images" not in request.inputs:
            return padding
        pixels = tensor_to_array(request.inputs["images"])
        numbers = pixels.reshape(len(pixels), -1)[:, :2].copy().view(">u2").ravel()
        return {
            "label": [str(number).encode() for number in numbers.tolist()],
            "class_id": np.zeros(len(numbers), np.int64),
            "probabilities": np.ones((len(numbers), 1), np.float32),
            **padding,
        }

    def _check_token(self, context: grpc.ServicerContext) -> None:
        bearer = self.metadata.get("authorization", "Bearer ")
        if self.token is None or bearer == f"Bearer {self.token}":
            return
        if bearer == "Bearer guest":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "guests are not allowed")
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such token")


class Replica:
    """A server with a Classifier, and with grpc.health.v1 if `with_health` is true.

    Args:
        address: where to listen; port 0 is any that is free.
        version: the model version of its responses.
        credentials: for TLS; None for none.
        with_health: whether it has the health service.
        **server: the settings of grpc.server.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:0",
        version: int = 1,
        *,
        credentials: grpc.ServerCredentials | None = None,
        with_health: bool = True,
        **server: Any,
    ):
        self.classifier = Classifier(version)
        self.server = grpc.server(ThreadPoolExecutor(8), **server)
        handler = grpc.unary_unary_rpc_method_handler(
            self.classifier.predict,
            wire_pb2.PredictRequest.FromString,
            wire_pb2.PredictResponse.SerializeToString,
        )
        service = "tensorflow.serving.PredictionService"
        self.server.add_registered_method_handlers(service, {"Predict": handler})
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Predict": handler}),)
        )
        # a watch would hold a thread of the pool otherwise
        self._health = health.HealthServicer(experimental_non_blocking=True)
        if with_health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        if credentials is None:
            self.port = self.server.add_insecure_port(address)
        else:
            self.port = self.server.add_secure_port(address, credentials)
        self.server.start()

    def serving(self, serving: bool) -> None:
        """Set the status that its health service reports."""
        status = health_pb2.HealthCheckResponse
        self._health.set("", status.SERVING if serving else status.NOT_SERVING)

    def stop(self) -> None:
        """Stop at once and abort the calls under way."""
        stopped = self.server.stop(None)
        self.classifier.gate.set()
        stopped.wait()


if __name__ == "__main__":
    replica = Replica(f"127.0.0.1:{sys.argv[1]}", int(sys.argv[2]))
    replica.classifier.seconds = float(sys.argv[3])
    replica.server.wait_for_termination()
