"""All models behind the gRPC services: for as long as a server serves only one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server.manager import Manager, State
from serving.server.runner import Runner
from serving.server.services import ModelService, PredictionService
from serving.server.versions import AspiredVersion
from tests.server.fidelity.replay import Target


@contextlib.contextmanager
def services_alone(models: Path) -> Iterator[Target]:
    manager = Manager(lambda aspired: Runner(aspired.path))
    for model in models.iterdir():
        if model.is_dir() and model.name not in ("corrupt", "empty"):
            versions = [AspiredVersion(int(v.name), v, ()) for v in model.iterdir()]
            manager.aspire(model.name, versions)
            manager.wait_until_available(model.name)
            while any(v.state != State.AVAILABLE for v in manager.statuses(model.name)):
                time.sleep(0.02)
    server = grpc.server(ThreadPoolExecutor(8))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(manager), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(manager), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield Target(f"127.0.0.1:{port}", None, str(models))
    server.stop(None).wait()
    assert manager.close(30)
