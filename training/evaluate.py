"""`fovea evaluate`: judge a run's model on its data set's test split."""

import argparse
from pathlib import Path

import numpy as np

from models import backend
from training import run as runs


def evaluate(model, images: np.ndarray, labels: np.ndarray) -> dict:
    """Return how a model does on labelled images.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (n, height, width, channels).
        labels: Integers (n,).

    Returns:
        `images` (their number), `accuracy` and `loss` (mean cross-entropy, nats).
    """
    logits = model.predict(images, batch_size=500, verbose=0).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    chosen = log_probabilities[np.arange(len(labels)), labels]
    return {
        "images": len(images),
        "accuracy": float((logits.argmax(axis=1) == labels).mean()),
        "loss": float(-chosen.mean()),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="directory with D.npz (or FOVEA_DATA_DIR)"
    )


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return the exit code."""
    config = runs.read_config(args.run)
    backend.prepare(args.debug)
    from training import data

    model = runs.load_model(args.run)
    dataset = data.load(config["dataset"], args.data_dir)
    result = evaluate(model, dataset.x_test, dataset.y_test)
    metrics = runs.read_metrics(args.run)
    metrics["test"] = {"dataset": dataset.name, "source": dataset.source, **result}
    runs.write_json(args.run / "metrics.json", metrics)
    print(
        f"accuracy {result['accuracy']:.4f}, loss {result['loss']:.4f} on the "
        f"{result['images']:,} test images of {dataset.name} ({dataset.source})"
    )
    print(f"next: fovea export {args.run} --to exported/{config['dataset']}")
    return 0
