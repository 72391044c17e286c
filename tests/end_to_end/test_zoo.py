"""Every architecture is exported, served and called.

One server serves one model name; each architecture becomes the next version of it,
so that the server also swaps between all types of network and both image sizes.
"""

import signal
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from fovea import Client, ClientError, models
from fovea.models.registry import ARCHITECTURES
from fovea.training.exporting.export import publish, write_version

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLASSES = [f"class {index}" for index in range(10)]
SIZES = {"mnist": (28, 28, 1), "cifar": (32, 32, 3)}
# The first of each family, small; the others run with `make test-all`.
FAMILIES = {row.module: row.name for row in reversed(ARCHITECTURES.values())}
ALWAYS = {(name, "mnist") for name in FAMILIES.values()}


def _cases():
    for name in models.names():
        for size in SIZES:
            marks = () if (name, size) in ALWAYS else pytest.mark.matrix
            yield pytest.param(name, size, marks=marks, id=f"{name}-{size}")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return tmp_path_factory.mktemp("zoo") / "zoo"


@pytest.fixture(scope="module")
def client(repository):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _publish(repository, models.build("softmax_regression", (28, 28, 1), 10))
    command = [sys.executable, "-m", "fovea.serving.server", f"--port={port}"]
    command += ["--model_name=zoo", f"--model_base_path={repository}"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        with Client(f"127.0.0.1:{port}", timeout=60, wait_for_ready=True) as client:
            client.metadata("zoo")
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=90) == 0


def _publish(repository, model):
    return publish(
        repository, lambda version: write_version(version, "zoo", model, CLASSES)
    )


def _wait_for(client, version):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        (newest, *_) = client.status("zoo")
        if newest.version == version and newest.state == "AVAILABLE":
            return
        assert newest.error_code in ("OK", ""), newest
        time.sleep(0.1)
    raise AssertionError(client.status("zoo"))


@pytest.mark.parametrize(("name", "size"), list(_cases()))
def test_served_predictions_are_the_model_s(client, repository, name, size):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    images = rng.integers(0, 256, (4, *SIZES[size]), np.uint8)
    model = models.build(name, SIZES[size], 10)
    expected = tf.nn.softmax(model(images, training=False)).numpy()
    version = int(_publish(repository, model).name)
    _wait_for(client, version)
    try:
        result = client.predict({"images": images}, model="zoo")
    except ClientError as error:  # names the case in pytest's output
        pytest.fail(f"{name} at {size}: {error}")
    assert result.model_version == version
    np.testing.assert_allclose(
        result.outputs["probabilities"], expected, rtol=1e-5, atol=1e-5
    )
    assert result.outputs["class_id"].tolist() == expected.argmax(axis=1).tolist()
