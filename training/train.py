"""`fovea train`: fit a model to a data set, into a run directory."""

import argparse
import csv
import math
import time
from pathlib import Path

import numpy as np

from models import backend, registry
from models.options import parse_options
from training import run as runs
from training import runtime

# The policy that suits a data set when none is asked for: digits must not be
# mirrored, photographs may.
AUGMENTATION = {
    "mnist": "mnist",
    "mnist_sample": "mnist",
    "fashion_mnist": "cifar_standard",
    "cifar10": "cifar_standard",
}


def train(
    model_name: str,
    dataset,
    run: Path,
    *,
    epochs: int = 5,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    augmentation: "str | None" = None,
    validation_split: float = 0.1,
    seed: int = 0,
    options: "dict | None" = None,
) -> dict:
    """Train a model and leave a run directory.

    Adam with a cosine schedule down to zero. Part of the training images is held
    out to judge by; the test split is not touched. Ctrl-C ends the training
    early; the run directory then holds the weights of that moment.

    Args:
        model_name: A name in `models.names()`.
        dataset: A `training.data.Dataset`.
        run: The run directory, new or empty.
        epochs: Passes over the training images.
        batch_size: Images in a step.
        learning_rate: Adam's, at the first step.
        augmentation: Policy name; None for the data set's own.
        validation_split: Share of the training images to hold out, 0 to below 1.
        seed: Of weights, shuffling, augmentation and of which images are held out.
        options: Further keyword options of the builder.

    Returns:
        What metrics.json holds: `status` ("complete" or "interrupted"),
        `epochs_completed`, `seconds`, `train` and `validation` figures.

    Raises:
        ValueError: If a value is out of its range, the model or an option is
            unknown, or the loss stops being a number.
    """
    _check(epochs, batch_size, learning_rate, validation_split)
    import keras

    import models
    from models import augmentation as augmentations
    from training.progress import EpochProgress

    keras.utils.set_random_seed(seed)
    augmentation = augmentation or AUGMENTATION.get(dataset.name, "none")
    options = options or {}
    model = models.build(
        model_name,
        dataset.input_shape,
        dataset.num_classes,
        augmentation=augmentation,
        **options,
    )
    fit_x, fit_y, held_out = _hold_out(dataset, validation_split, seed)
    if not len(fit_x):
        raise ValueError(
            "The held-out share must leave images to train on. "
            f"Received: validation_split={validation_split}"
        )
    steps = math.ceil(len(fit_x) / batch_size) * epochs
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile="auto" if runtime.has_gpu() else False,
    )
    config = {
        "model": model_name,
        "options": options,
        "input_shape": list(dataset.input_shape),
        "num_classes": dataset.num_classes,
        "class_names": list(dataset.class_names),
        "dataset": dataset.name,
        "data_source": dataset.source,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "augmentation": augmentation,
        "validation_split": validation_split,
        "seed": seed,
    }
    runs.create(run, config, runtime.describe())
    progress = EpochProgress(len(fit_x), batch_size)
    history = keras.callbacks.CSVLogger(str(run / "history.csv"))
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: runs.save_model(run, model)
    )
    started = time.perf_counter()
    status = "complete"
    try:
        model.fit(
            fit_x,
            fit_y,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=held_out,
            validation_batch_size=500,
            verbose=0,
            callbacks=[
                keras.callbacks.TerminateOnNaN(),
                history,
                augmentations.AlternateFlips(),
                save,
                progress,
            ],
        )
    except KeyboardInterrupt:
        status = "interrupted"
        runs.save_model(run, model)
    finally:
        progress.close()
        history.on_train_end()  # Keras leaves the file open when training breaks off
    rows = _history(run)
    if rows and not math.isfinite(rows[-1]["loss"]):
        status = "diverged"
    metrics = {
        "status": status,
        "epochs_completed": len(rows),
        "seconds": round(time.perf_counter() - started, 3),
        "parameters": model.count_params(),
    }
    if rows and status != "diverged":
        last = rows[-1]
        metrics["train"] = {k: last[k] for k in ("loss", "accuracy")}
        if "val_loss" in last:
            metrics["validation"] = {
                "images": len(held_out[0]),
                "loss": last["val_loss"],
                "accuracy": last["val_accuracy"],
            }
    runs.write_json(run / "metrics.json", metrics)
    if status == "diverged":
        raise ValueError(
            f"The loss stopped being a number in epoch {len(rows)}; a smaller "
            f"--learning-rate would help. Received: learning_rate={learning_rate}"
        )
    return metrics


def _check(epochs, batch_size, learning_rate, validation_split) -> None:
    for name, value, usable, rule in (
        ("epochs", epochs, epochs >= 1, "at least 1"),
        ("batch_size", batch_size, batch_size >= 1, "at least 1"),
        ("learning_rate", learning_rate, 0 < learning_rate < 10, "between 0 and 10"),
        (
            "validation_split",
            validation_split,
            0 <= validation_split < 1,
            "at least 0 and below 1",
        ),
    ):
        if not usable:
            raise ValueError(f"{name} must be {rule}. Received: {name}={value}")


def _hold_out(dataset, share: float, seed: int):
    """Split the training images: (images, labels, None or (images, labels))."""
    order = np.random.default_rng(seed).permutation(len(dataset.x_train))
    out = order[: round(share * len(order))]
    keep = order[len(out) :]
    x, y = dataset.x_train, dataset.y_train
    return x[keep], y[keep], (x[out], y[out]) if len(out) else None


def _history(run: Path) -> list[dict[str, float]]:
    """Return the rows of history.csv, without the cells that have no figure."""
    path = run / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            {name: float(cell) for name, cell in row.items() if cell != "NA"}
            for row in csv.DictReader(file)
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="architecture, e.g. lenet5")
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="D",
        help="mnist, fashion_mnist, cifar10 or mnist_sample",
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="directory with D.npz (or FOVEA_DATA_DIR)"
    )
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="run directory (default: under runs/)"
    )
    parser.add_argument("--epochs", type=int, default=5, metavar="N")
    parser.add_argument("--batch-size", type=int, default=128, metavar="N")
    parser.add_argument("--learning-rate", type=float, default=2e-3, metavar="X")
    parser.add_argument(
        "--augmentation",
        metavar="POLICY",
        help="none, mnist, ... (default: what suits the data set)",
    )
    parser.add_argument(
        "--validation-split",
        type=float,
        default=0.1,
        metavar="X",
        help="share of the training images held out to judge by (default: 0.1)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="options",
        metavar="OPTION=VALUE",
        help="an option of the architecture, e.g. activation=relu; repeatable",
    )


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return the exit code (130: interrupted)."""
    registry.check(args.model)  # before seconds of imports
    options = parse_options(args.options)
    backend.prepare(args.debug)
    from training import data

    dataset = data.load(args.dataset, args.data_dir)
    run_directory = args.run or runs.default_path(args.model, dataset.name)
    print(f"{args.model} on {dataset.name} ({dataset.source})")
    metrics = train(
        args.model,
        dataset,
        run_directory,
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        augmentation=args.augmentation,
        validation_split=args.validation_split,
        seed=args.seed,
        options=options,
    )
    if metrics["status"] == "interrupted":
        print(
            f"Interrupted after {metrics['epochs_completed']} whole epochs; the "
            f"weights of that moment are in {run_directory}"
        )
        return 130
    print(f"{metrics['seconds']:.1f} s; run directory: {run_directory}")
    print(f"next: fovea evaluate {run_directory}")
    return 0
