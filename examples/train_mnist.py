"""Train LeNet-5 on MNIST, evaluate it, and export it for serving.

python examples/train_mnist.py
"""

import dataclasses
from pathlib import Path

from fovea.models import backend

backend.prepare()  # sets TensorFlow up before it is imported

from fovea.training.datasets.load import load
from fovea.training.evaluation.evaluate import evaluate
from fovea.training.exporting.export import export
from fovea.training.loop.train import train
from fovea.training.recipes import files
from fovea.training.runs.load import load_model

RUN = Path("runs/example")
REPOSITORY = Path("exported/example")


def main() -> None:
    dataset = load("mnist")
    recipe = dataclasses.replace(files.load("lenet5", "mnist"), epochs=3)
    train("lenet5", dataset, RUN, recipe)
    model = load_model(RUN)
    metrics = evaluate(model, dataset.x_test, dataset.y_test)
    print(f"accuracy {metrics['accuracy']:.4f} on {metrics['images']} test images")
    version = export(RUN, REPOSITORY)
    print(f"exported {version}")


if __name__ == "__main__":
    main()
