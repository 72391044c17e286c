"""Train on a folder of your own pictures; the folders' names become the labels.

python examples/own_labels.py PICTURES [ARCHITECTURE]

PICTURES/CLASS/* holds the pictures of a class, of any size and format. A tenth of them
is held out for validation.
"""

import sys
from pathlib import Path

from fovea.models import backend

backend.prepare()  # sets TensorFlow up before it is imported

from fovea.training.datasets.load import load
from fovea.training.exporting.export import export
from fovea.training.loop.train import train
from fovea.training.recipes.schema import Recipe


def main(pictures: str, architecture: str = "lenet5") -> None:
    dataset = load(f"folder:{pictures}", image_size=(32, 32))
    print(f"{len(dataset.x_train)} pictures of {', '.join(dataset.class_names)}")
    metrics = train(architecture, dataset, Path("runs/own"), Recipe(epochs=10))
    print(f"validation accuracy {metrics['validation']['accuracy']:.4f}")
    print(f"exported {export(Path('runs/own'), Path('exported/own'))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
