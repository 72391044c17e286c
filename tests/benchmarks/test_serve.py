"""A short run of the server's benchmark: it checks that it works, not how fast."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def models(tmp_path):
    """A model of images instead of LeNet-5, and requests for it."""
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
