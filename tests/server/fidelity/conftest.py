"""The models of the recordings, and servers started on them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server.flags import Flags
from serving.server.manager import Manager, State
from serving.server.runner import Runner
from serving.server.services import ModelService, PredictionService
from serving.server.versions import AspiredVersion
from tests.server.fidelity.replay import SCENARIOS, Scenario, Target

ROOT = Path(__file__).parents[3]
FLAGS = {field.name for field in dataclasses.fields(Flags)}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models, written by a process of its own, since that needs Keras."""
    directory = tmp_path_factory.mktemp("fidelity")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    subprocess.run(
        [sys.executable, "-m", "tests.server.fidelity.make_models", directory],
        check=True,
        cwd=ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    return directory


@pytest.fixture(scope="session")
def start(
    kit: Any, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Scenario], contextlib.AbstractContextManager[Target]]:
    """Starts the embedded server for a scenario, until the end of a `with`."""

    @contextlib.contextmanager
    def start(scenario: Scenario) -> Iterator[Target]:
        port, rest = kit.free_port(), kit.free_port()
        flags = [flag.replace("$MODELS", str(models)) for flag in scenario.flags]
        if "rest_api_port" in FLAGS:
            flags.append(f"--rest_api_port={rest}")
        log_file = tmp_path_factory.mktemp("log") / "server.log"
        with log_file.open("wb") as log:
            command = kit.server_command(f"--port={port}", *flags)
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            kit.until(lambda: process.poll() is not None or kit.is_open(port), log_file)
            assert process.poll() is None, log_file.read_text()
            yield Target(f"127.0.0.1:{port}", f"127.0.0.1:{rest}", str(models))
        finally:
            process.kill()
            process.wait()

    return start


@pytest.fixture(scope="session")
def steady(kit: Any, start: Any, models: Path) -> Iterator[Target]:
    """The server that most requests are asked of."""
    if "model_config_file" in FLAGS:
        with start(SCENARIOS["steady"]) as target:
            yield target
    else:
        with services_alone(kit, models) as target:
            yield target


@contextlib.contextmanager
def services_alone(kit: Any, models: Path) -> Iterator[Target]:
    """All models behind the gRPC services, as long as a server serves only one."""
    manager = Manager(lambda aspired: Runner(aspired.path))
    for model in models.iterdir():
        if model.is_dir() and model.name not in ("corrupt", "empty"):
            versions = [AspiredVersion(int(v.name), v, ()) for v in model.iterdir()]
            manager.aspire(model.name, versions)
            kit.until(lambda model=model: all_available(manager, model.name))
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


def all_available(manager: Manager[Runner], model: str) -> bool:
    return all(known.state is State.AVAILABLE for known in manager.statuses(model))
