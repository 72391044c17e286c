"""Does it help to train block by block first, or to start from another run?

Two experiments on MNIST, judged on its official test images. Every setting was fixed
before they were looked at, but for SGD's learning rate: at 0.02 neither way learned.

- `fovea train --pretrain layerwise` against training the whole network all along, for
  the same number of epochs in all, few images, with an activation that lets gradients
  fade (sigmoid) and one that does not (ReLU), and with an optimiser that scales them
  up again (Adam) and one that does not (SGD with momentum).
- `fovea finetune` from a run on the digits 0 to 4 to few images of 5 to 9, against
  training on these from random weights, for the same number of steps.

    python benchmarks/pretraining.py --data-dir DIR_WITH_MNIST_NPZ

prints two tables in Markdown.
"""

import argparse
import contextlib
import dataclasses
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from fovea.models import backend

IMAGES = 3_000
EPOCHS = 20
EPOCHS_PER_BLOCK = 2
SGD = {"optimizer": "sgd", "learning_rate": 0.1}
MLP = ("mlp", {"hidden": (100,) * 5}, "MLP, five hidden layers of 100", 5)
LENET = ("lenet5", {}, "LeNet-5", 4)
# (name, options, title, blocks before the last), activation, settings of the recipe
CASES = (
    (MLP, "sigmoid", SGD),
    (MLP, "sigmoid", {}),
    (MLP, "relu", {}),
    (LENET, "sigmoid", {}),
    (LENET, "relu", {}),
)
FEW = (20, 100, 300, 900)
# Few images are gone through several times in an epoch, of as many images as this.
EPOCH = 900
TUNING_EPOCHS = 15


def main() -> None:
    """Run both experiments and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="directory with mnist.npz")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    args = parser.parse_args()
    backend.prepare()
    from fovea.training.datasets import load

    mnist = load.load("mnist", args.data_dir)
    with tempfile.TemporaryDirectory() as directory:
        layerwise_against_plain(mnist, Path(directory), args.seeds)
        tuned_against_scratch(mnist, Path(directory), args.seeds)


def layerwise_against_plain(mnist, directory: Path, seeds: int) -> None:
    """Print what block by block is good for at an equal number of epochs."""
    from fovea.training.recipes.schema import Recipe

    few = dataclasses.replace(
        mnist, x_train=mnist.x_train[:IMAGES], y_train=mnist.y_train[:IMAGES]
    )
    print(f"\n{IMAGES:,} training images, {EPOCHS} epochs in all; {seeds} seeds.\n")
    head("network", "optimiser", "training", "test accuracy", "seconds")
    for (model, options, title, stages), activation, settings in CASES:
        recipe = Recipe(
            epochs=EPOCHS,
            augmentation="none",
            validation_split=0,
            batch_size=64,
            options={**options, "activation": activation},
            **settings,
        )
        rest = EPOCHS - stages * EPOCHS_PER_BLOCK
        for way in ("plain", f"layerwise, {stages} x {EPOCHS_PER_BLOCK} + {rest}"):
            results = []
            for seed in range(seeds):
                last, begin = recipe, {}
                if way != "plain":
                    last = dataclasses.replace(recipe, epochs=rest)
                    begin = {"pretrain_epochs": EPOCHS_PER_BLOCK}
                results.append(one(model, few, directory, last, seed, **begin))
            row(f"{title}, {activation}", recipe.optimizer, way, *figures(results))


def tuned_against_scratch(mnist, directory: Path, seeds: int) -> None:
    """Print what a run on other digits is good for where images are few."""
    from fovea.training.commands.finetune import LEARNING_RATE
    from fovea.training.loop import finetune
    from fovea.training.loop.train import train
    from fovea.training.recipes.schema import Recipe

    options = {"activation": "relu", "pooling": "max"}
    low, high = digits(mnist, range(5)), digits(mnist, range(5, 10))
    source = directory / "source"
    recipe = Recipe(epochs=3, options=options)
    with quiet():
        train("lenet5", low, source, recipe)
    print(
        f"\nLeNet-5 (ReLU, max pooling), digits 5 to 9, {TUNING_EPOCHS} times "
        f"{EPOCH} images in batches of 32; "
        f"source: {len(low.x_train):,} images of 0 to 4, 3 epochs; {seeds} seeds.\n"
    )
    head("images", "start", "trained", "test accuracy", "seconds")
    for count in FEW:
        for title, freeze, rate in (
            ("random", None, recipe.learning_rate),
            ("finetune", None, LEARNING_RATE),
            ("finetune", "s4", LEARNING_RATE),
        ):
            results = []
            for seed in range(seeds):
                # Other images with every seed.
                chosen = np.random.default_rng(seed).permutation(len(high.x_train))
                chosen = np.tile(chosen[:count], EPOCH // count)
                few = dataclasses.replace(
                    high, x_train=high.x_train[chosen], y_train=high.y_train[chosen]
                )
                build = None
                if title == "finetune":
                    build = finetune.builder(source, few, options, freeze)
                settings = dataclasses.replace(
                    recipe,
                    epochs=TUNING_EPOCHS,
                    batch_size=32,
                    learning_rate=rate,
                    validation_split=0,
                )
                results.append(
                    one("lenet5", few, directory, settings, seed, build=build)
                )
            trained = f"after {freeze}" if freeze else "all layers"
            row(f"{count:,}", title, trained, *figures(results))


def digits(mnist, wanted: range):
    """Return the images of some digits, labelled from 0 on."""
    train = np.isin(mnist.y_train, wanted)
    test = np.isin(mnist.y_test, wanted)
    return dataclasses.replace(
        mnist,
        x_train=mnist.x_train[train],
        y_train=mnist.y_train[train] - wanted[0],
        x_test=mnist.x_test[test],
        y_test=mnist.y_test[test] - wanted[0],
        class_names=mnist.class_names[wanted.start : wanted.stop],
    )


def one(model, dataset, directory, recipe, seed, **begin) -> tuple[float, float]:
    """Train once; return the accuracy on the test images and the seconds it took."""
    from fovea.training.evaluation.evaluate import evaluate
    from fovea.training.loop.train import train
    from fovea.training.runs.load import load_model

    begun = time.perf_counter()
    with quiet(), tempfile.TemporaryDirectory(dir=directory) as parent:
        run = Path(parent) / "run"
        train(model, dataset, run, recipe, seed=seed, **begin)
        seconds = time.perf_counter() - begun
        result = evaluate(load_model(run), dataset.x_test, dataset.y_test)
    return result["accuracy"], seconds


@contextlib.contextmanager
def quiet():
    """Do without the progress of each training."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def figures(results: list[tuple[float, float]]) -> tuple[str, str]:
    """Return mean accuracy with its standard deviation, and median seconds."""
    accuracies, seconds = zip(*results, strict=True)
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    mean = statistics.mean(accuracies)
    return f"{mean:.2%} ± {spread * 100:.2f}", f"{statistics.median(seconds):.0f}"


def head(*titles: str) -> None:
    """Print a table's first two lines."""
    row(*titles)
    row(*("---" for _ in titles))


def row(*cells: str) -> None:
    """Print a table's line."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
