"""The benchmark of the server, for seconds: whether it runs, not how fast."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def address():
    """A server whose method /test/even refuses every other request."""
    turn = iter(range(10**9))

    def even(request, context):
        if next(turn) % 2:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "odd")
        return request

    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {
        "even": grpc.unary_unary_rpc_method_handler(even),
        "all": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test", handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait(30)


def outcomes(address, tmp_path, *jobs):
    request = tmp_path / "request"
    request.write_bytes(b"some bytes")
    common = {"target": address, "request": str(request), "warm_up": 0.1}
    run = subprocess.run(
        [sys.executable, BENCHMARKS / "serve_load.py"],
        input="".join(json.dumps({**common, **job}) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_the_load_generator_counts_answers_and_failures(address, tmp_path):
    closed, half, steady = outcomes(
        address,
        tmp_path,
        {"method": "/test/all", "seconds": 0.5, "concurrency": 4},
        {"method": "/test/even", "seconds": 0.3},
        {"method": "/test/all", "seconds": 1.0, "rate": 50},
    )
    assert closed["answered"] > 0 and not closed["failed"]
    assert closed["rate"] == closed["answered"] / 0.5
    times = closed["milliseconds"]
    assert 0 < times["50"] <= times["99"] <= closed["longest"]
    assert half["answered"] > 0 and half["failed"]["RESOURCE_EXHAUSTED"] > 0
    # Of the requests that were to be sent none is left out, however late it was.
    assert 25 < steady["answered"] < 85 and not steady["failed"]


@pytest.fixture
def models(tmp_path):
    """A model that takes images, in the place of LeNet-5, and its requests."""
    script = tmp_path / "save.py"
    script.write_text(
        """
import sys
import numpy as np, tensorflow as tf
from pathlib import Path
from tensorflow_serving.apis import predict_pb2
root = Path(sys.argv[1])
module = tf.Module()
module.weights = tf.Variable(np.ones((4, 10), np.float32))
@tf.function(input_signature=[tf.TensorSpec([None, 2, 2, 1], tf.uint8, "images")])
def serve(images):
    pixels = tf.reshape(tf.cast(images, tf.float32), [-1, 4])
    return {"probabilities": pixels @ module.weights}
tf.saved_model.save(module, str(root / "lenet5" / "1"), {"serving_default": serve})
for size in (1, 256):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "lenet5"
    images = np.zeros((size, 2, 2, 1), np.uint8)
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
    (root / f"lenet5-{size}.request").write_bytes(request.SerializeToString())
"""
    )
    root = tmp_path / "models"
    command = [sys.executable, script, root]
    subprocess.run(command, check=True, capture_output=True)
    return root


def test_the_table_of_the_server_its_floor_and_its_ceiling(models):
    command = [sys.executable, BENCHMARKS / "serve.py", "--models", models]
    command += ["--part=closed", "--model=lenet5", "--rounds=1", "--seconds=0.2"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    table = [line for line in run.stdout.splitlines() if line.startswith("| lenet5")]
    ways = ["fovea", "fovea, batching", "echo", "in-process"]
    assert len(table) == 3 * len(ways) - 1  # 256 images are more than a batch
    for line in table:
        cells = [cell.strip() for cell in line.split("|")]
        assert cells[3].split(" (")[0].startswith(tuple(ways))
        assert float(cells[4].split(" ")[0].replace(",", "")) > 0
        assert "FAILED" not in line
