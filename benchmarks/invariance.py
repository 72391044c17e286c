"""Invariance on MNIST: augmentation, pooling and a spatial transformer compared.

    python benchmarks/invariance.py [--data-dir DIR] [--picture FILE.png]

Six networks are trained in the same way, for 5 epochs on the first 20,000 training
images, with one seed. Then each classifies the first 2,000 test images, shifted,
rotated, scaled and made noisy more and more (training/inspect/analysis/invariance.py).
Prints accuracies as a table in Markdown, and draws all curves.
"""

import argparse
import dataclasses
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
TRAINED_ON, ASKED_ABOUT, EPOCHS = 20_000, 2_000, 5
# Name, architecture, augmentation, options.
NETWORKS = (
    ("MLP", "mlp", "none", {}),
    ("LeNet-5", "lenet5", "none", {}),
    ("LeNet-5, strides for pooling", "lenet5", "none", {"pooling": "strided"}),
    ("LeNet-5, augmented", "lenet5", "mnist", {}),
    ("spatial transformer", "stn", "none", {}),
    ("spatial transformer, augmented", "stn", "mnist", {}),
)
# What the table has: the largest changes that a reader would still read.
COLUMNS = (("shift", 4), ("rotation", 30), ("scaling", 0.7), ("noise", 64))


def main() -> None:
    """Train, measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="directory with mnist.npz")
    parser.add_argument(
        "--picture", type=Path, default=Path("docs/images/invariance.png")
    )
    args = parser.parse_args()
    from fovea.models import backend

    backend.prepare()
    from fovea.training.datasets import load
    from fovea.training.inspect.analysis import invariance
    from fovea.training.inspect.drawing import invariance_plot

    dataset = load.load("mnist", args.data_dir)
    dataset = dataclasses.replace(
        dataset,
        x_train=dataset.x_train[:TRAINED_ON],
        y_train=dataset.y_train[:TRAINED_ON],
    )
    images, labels = dataset.x_test[:ASKED_ABOUT], dataset.y_test[:ASKED_ABOUT]
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print(f"{len(os.sched_getaffinity(0))} CPUs\n")
    heads = [f"{change} {strength}" for change, strength in COLUMNS]
    results, rows = {}, []
    for name, *how in NETWORKS:
        started = time.perf_counter()
        found = invariance.curves(trained(dataset, *how), images, labels)
        results[name] = found
        cells = [accuracy(found, *column) for column in (("shift", 0), *COLUMNS)]
        cells.append(f"{time.perf_counter() - started:.0f}")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    print(f"\n| network | as it is | {' | '.join(heads)} | seconds |")
    print(f"|---|{'---|' * (len(heads) + 2)}", *rows, sep="\n")
    invariance_plot.png(args.picture, results)


def trained(dataset, model: str, augmentation: str, options: dict):
    """Return a network, trained."""
    from fovea.training.loop.train import train
    from fovea.training.recipes.schema import Recipe
    from fovea.training.runs.load import load_model

    recipe = Recipe(
        epochs=EPOCHS,
        batch_size=128,
        augmentation=augmentation,
        validation_split=0.0,
        options=options,
    )
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        train(model, dataset, run, recipe)
        return load_model(run)


def accuracy(found: dict, change: str, strength: float) -> str:
    """Return an accuracy in per cent."""
    (row,) = (row for row in found[change] if row["strength"] == strength)
    return f"{100 * row['accuracy']:.1f}"


if __name__ == "__main__":
    main()
