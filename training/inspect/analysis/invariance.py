"""Invariance: accuracy as images are shifted, rotated, scaled and made noisy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from fovea.models.augmentation.resample import resample
from fovea.training.evaluation.evaluate import BATCH_SIZE
from fovea.training.runs import directory as runs

# Change -> rows of strength, accuracy and probability.
Curves: TypeAlias = dict[str, list[dict[str, float]]]

# Shares of the image's shorter side, 1 to 8 pixels of MNIST's 28.
SHIFTS = tuple(pixels / 28 for pixels in (0, 1, 2, 3, 4, 6, 8))
ROTATIONS = (0, 10, 20, 30, 45, 60, 90)  # degrees
SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
NOISES = (0, 8, 16, 32, 64, 96, 128)  # grey levels
# Each change, and the unit of its strength.
UNITS = {
    "shift": "pixels",
    "rotation": "degrees",
    "scaling": "size",
    "noise": "standard deviation",
}
SEED = 0  # of the noise, the same for every model


def curves(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> Curves:
    """Measure a model on images that are changed by increasing amounts.

    Shifts go to the left, right, top and bottom, rotations both ways, and each row is
    the mean over them. Pixels from outside the image repeat its border; between
    pixels values are interpolated linearly. Noise is Gaussian,
    independent in every value, and cut at 0 and 255.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (n, height, width, channels).
        labels: Integers (n,), the true classes.

    Returns:
        For each of "shift" (pixels), "rotation" (degrees), "scaling" (factor of the
        size) and "noise" (standard deviation in grey levels) rows of `strength`,
        `accuracy` and `probability`, the mean probability of the true class. The
        unchanged image has strength 0, in scaling 1.

    Raises:
        ValueError: If there is no image.
    """
    if not len(images):
        raise ValueError("There must be images to evaluate on. Received: 0 images")
    # Traced once: calls are many and small.
    predict = tf.function(
        lambda pixels: tf.nn.softmax(model(pixels, training=False)),
        input_signature=[tf.TensorSpec((None, *images.shape[1:]), tf.uint8)],
        autograph=False,
    )
    found: Curves = {}
    unchanged = None  # metrics of the unchanged images, which every change includes
    for change in UNITS:
        rows = []
        for strength in strengths(change, min(images.shape[1:3])):
            if strength == (1 if change == "scaling" else 0):
                unchanged = unchanged or _evaluate(predict, images, labels)
                metrics = [unchanged]
            else:
                views = changed(images, change, strength)
                metrics = [_evaluate(predict, view, labels) for view in views]
            accuracy, probability = np.mean(metrics, axis=0)
            row = {"accuracy": float(accuracy), "probability": float(probability)}
            rows.append({"strength": float(strength), **row})
        found[change] = rows
    return found


def strengths(change: str, side: int) -> tuple[float, ...]:
    """Return the strengths of a change, for images with this shorter side."""
    if change == "shift":
        return tuple(sorted({round(share * side) for share in SHIFTS}))
    return {"rotation": ROTATIONS, "scaling": SCALES, "noise": NOISES}[change]


def changed(images: np.ndarray, change: str, strength: float) -> Iterator[np.ndarray]:
    """Yield images changed in every direction; see `curves`.

    Args:
        images: uint8 (n, height, width, channels).
        change: "shift", "rotation", "scaling" or "noise".
        strength: Strength in the unit of the change.

    Yields:
        uint8 (n, height, width, channels).
    """
    if change == "noise":
        noise = np.random.default_rng(SEED).normal(0, strength, images.shape)
        yield _to_uint8(images + noise)
        return
    for matrix in _maps(change, strength):
        matrices = np.repeat(np.array([matrix], np.float32), len(images), axis=0)
        pixels = tf.constant(images, tf.float32)
        yield _to_uint8(np.asarray(resample(pixels, matrices, fill_value=None)))


def record(run: Path, found: Curves, images: int, split: str) -> None:
    """Write curves into a run's metrics.json, under "invariance".

    Args:
        run: The run directory.
        found: What `curves` returned.
        images: Number of images that it was measured on.
        split: The split of these images.
    """
    metrics = runs.read_metrics(run)
    metrics["invariance"] = {"split": split, "images": images, **found}
    runs.write_json(run / "metrics.json", metrics)


def _maps(change: str, strength: float) -> Iterator[list[list[float]]]:
    """Yield a 2 x 3 matrix for each direction: output to input coordinates."""
    if change == "shift":
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            yield [[1, 0, x * strength], [0, 1, y * strength]]
    elif change == "rotation":
        for angle in (np.deg2rad(strength), -np.deg2rad(strength)):
            cosine, sine = np.cos(angle), np.sin(angle)
            yield [[cosine, -sine, 0], [sine, cosine, 0]]
    else:
        yield [[1 / strength, 0, 0], [0, 1 / strength, 0]]


def _to_uint8(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def _evaluate(
    predict: Callable[[np.ndarray], tf.Tensor], images: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """Return the accuracy and the mean probability of the true class."""
    parts = range(0, len(images), BATCH_SIZE)
    probabilities = np.concatenate(
        [predict(images[start : start + BATCH_SIZE]) for start in parts]
    )
    right = probabilities.argmax(axis=1) == labels
    true_class = probabilities[np.arange(len(labels)), labels]
    return float(right.mean()), float(true_class.mean())
