"""SavedModels written for these tests, and server processes started on them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from fovea.models.backend import ENVIRONMENT
from tests import shared

for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)
os.environ.setdefault(
    "TF_USE_LEGACY_KERAS", "1"
)  # no Keras is used here: starts sooner

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of TensorFlow's imports
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_log_pb2,
        prediction_service_pb2_grpc,
    )

START_SECONDS = 120.0  # time limit of each wait: the machine may be busy


class Toy(tf.Module):
    """One module with a signature for each behaviour under test."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.half = tf.Variable(0.5, name="half")
        self.offset = tf.Variable(float(offset), name="offset")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def affine(self, x: Any) -> Any:
        return {"y": x * self.half + self.offset}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, name="a"),
            tf.TensorSpec([None, 2], tf.float32, name="b"),
        ]
    )
    def both(self, a: Any, b: Any) -> Any:
        return {"sum": a + b, "product": a * b, "total": tf.reduce_sum(a)}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, name="text")])
    def upper(self, text: Any) -> Any:
        return {"text": tf.strings.upper(text), "same": tf.identity(text)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="turns")])
    def slow(self, turns: Any) -> Any:
        ones = tf.ones([64, 64])
        _, last = tf.while_loop(
            lambda turn, _: turn < turns,
            lambda turn, value: (turn + 1, tf.linalg.l2_normalize(value @ ones)),
            (0, ones),
            parallel_iterations=1,
        )
        return {"last": last[0, 0] * 0.0 + self.offset}


def save_toy(path: Path, offset: float) -> Path:
    toy = Toy(offset)
    tf.saved_model.save(
        toy,
        str(path),
        signatures={
            "serving_default": toy.affine,
            "both": toy.both,
            "upper": toy.upper,
            "slow": toy.slow,
        },
    )
    return path


def write_warmup(version: Path, *logs: Any) -> None:
    extra = version / "assets.extra"
    extra.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def predict_log(request: Any) -> Any:
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )


def predict_request(
    name: str = "toy", signature: str = "", version: int | None = None, **inputs: Any
) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


@dataclass
class Stubs:
    """The official stubs on one channel."""

    channel: grpc.Channel

    def __post_init__(self) -> None:
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(
            self.channel
        )
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, request: Any, timeout: float = 30) -> Any:
        return self.prediction.Predict(request, timeout=timeout)

    def status(self, name: str = "toy") -> dict[int, tuple[int, int, str]]:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        reply = self.model.GetModelStatus(request, timeout=30)
        return {
            entry.version: (
                entry.state,
                entry.status.error_code,
                entry.status.error_message,
            )
            for entry in reply.model_version_status
        }

    def metadata(self, name: str, *fields: str) -> Any:
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.model_spec.name = name
        request.metadata_field.extend(fields)
        return self.prediction.GetModelMetadata(request, timeout=30)


@dataclass
class Running:
    """A server process."""

    process: subprocess.Popen[bytes]
    port: int
    log_file: Path
    channel: grpc.Channel
    stubs: Stubs

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(timeout=START_SECONDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "fovea.serving.server", *flags]


@contextlib.contextmanager
def running(base_path: Path, log_file: Path, *flags: str) -> Iterator[Running]:
    port = free_port()
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            server_command(
                f"--port={port}",
                "--model_name=toy",
                f"--model_base_path={base_path}",
                *flags,
            ),
            stdout=log,
            stderr=log,
        )
    channel = grpc.insecure_channel(
        f"127.0.0.1:{port}",
        options=[("grpc.initial_reconnect_backoff_ms", 100)],
    )
    try:
        until(lambda: process.poll() is not None or is_open(port), log_file)
        assert process.poll() is None, log_file.read_text()
        yield Running(process, port, log_file, channel, Stubs(channel))
    finally:
        channel.close()
        process.kill()
        process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], Any], log: object = "") -> None:
    """Wait until a condition holds; the time that it takes is not tested."""
    end = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > end:
            text = log.read_text() if isinstance(log, Path) else log
            pytest.fail(f"waited {START_SECONDS} s in vain: {text}")
        time.sleep(0.02)


def copy_version(source: Path, target: Path) -> None:
    """Publish as fovea does: write under a hidden name, then rename."""
    hidden = target.with_name(f".{target.name}.tmp")
    shutil.copytree(source, hidden)
    hidden.rename(target)


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Versions of the toy model; the offset is the version's number."""

    def write(directory: Path) -> None:
        for n in (1, 2):
            save_toy(directory / str(n), n)

    root = shared.directory(tmp_path_factory, "toys", write)
    return {n: root / str(n) for n in (1, 2)}


@pytest.fixture(scope="session")
def kit() -> Any:
    """The helpers of this file: tests are imported one by one and cannot import it."""

    class Kit:
        pass

    for helper in (
        Stubs,
        copy_version,
        free_port,
        is_open,
        predict_log,
        predict_request,
        running,
        save_toy,
        server_command,
        until,
        write_warmup,
    ):
        setattr(Kit, helper.__name__, staticmethod(helper))
    Kit.tf, Kit.np = tf, np  # type: ignore[attr-defined]
    return Kit


@pytest.fixture(scope="module")
def toy_server(
    kit: Any, toys: dict[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One server per test module, on version 1 of the toy model."""
    root = tmp_path_factory.mktemp("served")
    (root / "toy").mkdir()
    copy_version(toys[1], root / "toy" / "1")
    with running(root / "toy", root / "server.log") as server:
        yield server
