"""The models of benchmarks/serve.py and their requests; a process of its own.

    python benchmarks/serve_models.py DIRECTORY

Untrained weights take as long as trained ones. Each model is exported as `fovea export`
does it, to DIRECTORY/NAME/1, beside requests of random images as serialised bytes.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# name -> (architecture, shape of its images, images per request)
MODELS = {
    "lenet5": ("lenet5", (28, 28, 1), (1, 32, 256)),
    "cifar": ("speednet", (32, 32, 3), (1, 32)),
}


def request_file(directory: Path, model: str, images: int) -> Path:
    """Where the request of so many images for a model is."""
    return directory / f"{model}-{images}.request"


def make(directory: Path) -> None:
    """Export the models and write the requests."""
    from tensorflow_serving.apis import predict_pb2

    from fovea.models import build
    from fovea.training.exporting.export import publish, write_version

    random = np.random.default_rng(0)
    for name, (architecture, shape, sizes) in MODELS.items():
        network = build(architecture, shape, 10)
        labels = [str(label) for label in range(10)]
        publish(
            directory / name,
            lambda version, name=name, network=network, labels=labels: write_version(
                version, name, network, labels
            ),
        )
        for size in sizes:
            images = random.integers(0, 256, (size, *shape), np.uint8)
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            tensor = request.inputs["images"]
            tensor.dtype = 4  # DT_UINT8
            for length in images.shape:
                tensor.tensor_shape.dim.add().size = length
            tensor.tensor_content = images.tobytes()
            file = request_file(directory, name, size)
            file.write_bytes(request.SerializeToString())


def main() -> None:
    """Make them in the directory that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    make(parser.parse_args().directory)


if __name__ == "__main__":
    main()
