"""Networks of ordinary sizes whose outputs name the version that computed them.

    python -m tests.server.reliability.nets DIRECTORY

writes versions 1 and 2 of each, and requests for them.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault(
    "TF_USE_LEGACY_KERAS", "1"
)  # no Keras is used here: starts sooner

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of TensorFlow's imports
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

# Name -> height and width, channels, kernel size, filters of each convolution (0 is a
# pooling), units of the dense layers.
NETS = {
    "lenet5": (28, 1, 5, (6, 0, 16, 0, 120), (84, 10)),
    "cifar": (32, 3, 3, (64, 64, 0, 128, 128, 0, 256), (10,)),  # 0.23 GFLOP an image
}


class Net(tf.Module):
    """Convolutions, then dense layers, with random weights.

    Args:
        kind: One of `NETS`.
        version: The value of the output `version`.
    """

    def __init__(self, kind: str, version: int) -> None:
        super().__init__()
        size, channels, kernel, convolutions, dense = NETS[kind]
        generator = tf.random.Generator.from_seed(version)
        self.version = tf.Variable(float(version))
        self.weights = []
        for filters in convolutions:
            if not filters:
                self.weights.append(None)
                size //= 2
                continue
            shape = (kernel, kernel, channels, filters)
            self.weights.append(tf.Variable(generator.normal(shape, stddev=0.1)))
            channels = filters
        inputs = size * size * channels
        self.dense = []
        for units in dense:
            weights = generator.normal((inputs, units), stddev=0.02)
            self.dense.append(tf.Variable(weights))
            inputs = units
        specification = tf.TensorSpec([None, *self.shape(kind)], tf.uint8, "images")
        self.serve = tf.function(self._serve, input_signature=[specification])

    @staticmethod
    def shape(kind: str) -> tuple[int, int, int]:
        """The shape of one image."""
        size, channels = NETS[kind][:2]
        return size, size, channels

    def _serve(self, images: Any) -> dict[str, Any]:
        x = tf.cast(images, tf.float32) / 255.0
        for weights in self.weights:
            if weights is None:
                x = tf.nn.avg_pool2d(x, 2, 2, "VALID")
            else:
                x = tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME"))
        x = tf.reshape(x, [-1, self.dense[0].shape[0]])
        for weights in self.dense:
            x = x @ weights
        return {
            "probabilities": tf.nn.softmax(x),
            "version": tf.repeat(self.version, tf.shape(x)[0]),
        }


def save(kind: str, path: Path, version: int) -> Path:
    """Write a version directory."""
    net = Net(kind, version)
    signatures = {"serving_default": net.serve}
    tf.saved_model.save(net, str(path), signatures=signatures)
    return path


def request(kind: str, images: int, model: str = "toy") -> bytes:
    """Return a serialised PredictRequest with a number of images."""
    message = predict_pb2.PredictRequest()
    message.model_spec.name = model
    batch = tf.zeros([images, *Net.shape(kind)], tf.uint8)
    message.inputs["images"].CopyFrom(tf.make_tensor_proto(batch))
    return message.SerializeToString()


def main(directory: str) -> None:
    """Write the networks and their requests."""
    root = Path(directory)
    for kind in NETS:
        for version in (1, 2):
            save(kind, root / kind / str(version), version)
        for images in (1, 16, 256):
            (root / f"{kind}.{images}").write_bytes(request(kind, images))


if __name__ == "__main__":
    main(sys.argv[1])
