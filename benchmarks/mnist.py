"""Time to 99 % on MNIST: keras-io's example beside fovea's recipe.

    python benchmarks/mnist.py [--data-dir DIR] [--seeds N]

The example "Simple MNIST convnet" of keras.io (Chollet, 2015): two convolutions, two
poolings, dropout and one dense layer; Adam, batches of 128, a tenth held out. It is
trained until its accuracy on the official test split, looked at after every epoch,
first reaches 99.0 %; that clock stands still while it is judged, and begins when the
data are in memory and Keras is imported. fovea's recipe is trained to its end, by the
same clock, and judged once.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
GOAL = 0.99
MOST_EPOCHS = 15


def main() -> None:
    """Print the figures as a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="directory with mnist.npz")
    parser.add_argument("--seeds", type=int, default=2, help="runs (default: 2)")
    args = parser.parse_args()
    from fovea.models import backend

    backend.prepare()
    from fovea.training.datasets import load

    dataset = load.load("mnist", args.data_dir)
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print(f"{len(os.sched_getaffinity(0))} CPUs\n")
    print("| | seed | epochs | training | test accuracy |\n|---|---|---|---|---|")
    for seed in range(args.seeds):
        for name, way in (("keras-io mnist_convnet", keras_io), ("fovea", fovea)):
            epochs, seconds, accuracy = way(dataset, seed)
            print(
                f"| {name} | {seed} | {epochs} | {seconds:.1f} s | {accuracy:.4f} |",
                flush=True,
            )


def keras_io(dataset, seed: int) -> tuple[int, float, float]:
    """Train the example; return epochs, seconds and accuracy when it gets there."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = dataset.x_train.astype("float32") / 255, dataset.y_train
    x_test = dataset.x_test.astype("float32") / 255
    epochs, seconds, accuracy = 0, 0.0, 0.0
    while accuracy < GOAL and epochs < MOST_EPOCHS:
        epochs += 1
        started = time.perf_counter()
        model.fit(x, y, batch_size=128, validation_split=0.1, verbose=0)
        seconds += time.perf_counter() - started
        _, accuracy = model.evaluate(x_test, dataset.y_test, verbose=0)
    return epochs, seconds, accuracy


def fovea(dataset, seed: int) -> tuple[int, float, float]:
    """Train by the recipe `fast`; return epochs, seconds and accuracy."""
    import keras

    from fovea.training.evaluation.evaluate import predict_logits
    from fovea.training.loop.train import train
    from fovea.training.recipes import files

    chosen = files.load("speednet", "mnist", "fast")
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        started = time.perf_counter()
        train("speednet", dataset, run, chosen, seed=seed)
        seconds = time.perf_counter() - started
        model = keras.saving.load_model(run / "model.keras", compile=False)
    logits = predict_logits(model, dataset.x_test)
    accuracy = float((logits.argmax(1) == dataset.y_test).mean())
    return chosen.epochs, seconds, accuracy


if __name__ == "__main__":
    main()
