"""Survey many images: the strongest response of every unit to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fovea.training.inspect.units import selection
from fovea.training.inspect.units.selection import Units

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Largest size of the responses held at one time, in bytes.
MOST_BYTES = 200_000_000
LARGEST_BATCH = 250
# At 0.95 the slope of tanh is a tenth of that at 0, the slope of sigmoid a fifth.
SATURATED = 0.95


@dataclass(frozen=True)
class Survey:
    """The responses of a layer's units to n images.

    Args:
        units: The layer.
        peaks: float32 (n, units): the largest response to an image, over all positions.
        places: int32 (n, units): its position on the map, row * columns + column.
        lowest: float32 (units,): the smallest response to any image.
        low: float64 (units,): share of all responses, over images and positions, that
            are below -0.95.
        still: Share between -0.05 and 0.05.
        high: Share above 0.95.
        off: Share not above 0.
    """

    units: Units
    peaks: np.ndarray
    places: np.ndarray
    lowest: np.ndarray
    low: np.ndarray
    still: np.ndarray
    high: np.ndarray
    off: np.ndarray

    def place(self, image: int, unit: int) -> tuple[int, int]:
        """Return (row, column) of a unit's largest response to an image."""
        if not self.units.is_map:
            return 0, 0
        row, column = divmod(int(self.places[image, unit]), self.units.shape[1])
        return row, column


def survey(
    model: keras.Model, layers: Sequence[Units], images: np.ndarray
) -> list[Survey]:
    """Record every unit's strongest response to each image.

    Memory is bounded: maps exist for one batch only, and two numbers are kept for
    each unit and image.

    Args:
        model: uint8 images -> logits.
        layers: The layers to survey.
        images: uint8 (n, height, width, channels), n at least 1.

    Returns:
        One `Survey` for each of `layers`, in their order.
    """
    import tensorflow as tf

    part = selection.outputs(model, layers)

    def respond(batch: tf.Tensor) -> list[tuple[tf.Tensor, ...]]:
        recorded = []
        for maps in tf.nest.flatten(part(batch, training=False)):
            flat = tf.reshape(maps, (tf.shape(maps)[0], -1, maps.shape[-1]))
            flat = tf.cast(flat, tf.float32)
            share = [
                tf.reduce_mean(tf.cast(chosen, tf.float32), axis=1)
                for chosen in (
                    flat < -SATURATED,
                    tf.abs(flat) < 1 - SATURATED,
                    flat > SATURATED,
                    flat <= 0,
                )
            ]
            recorded.append(
                (
                    tf.reduce_max(flat, axis=1),
                    tf.argmax(flat, axis=1, output_type=tf.int32),
                    tf.reduce_min(flat, axis=1),
                    *share,
                )
            )
        return recorded

    batch_of_any_size = tf.TensorSpec((None, *images.shape[1:]), tf.uint8)
    graph = tf.function(respond).get_concrete_function(batch_of_any_size)
    size = batch_size(part, images)
    batches = [
        [
            [array.numpy() for array in recorded]
            for recorded in graph(tf.constant(images[first : first + size]))
        ]
        for first in range(0, len(images), size)
    ]
    found = []
    for index, units in enumerate(layers):
        peaks, places, lowest, *shares = (
            np.concatenate(arrays)
            for arrays in zip(*(batch[index] for batch in batches), strict=True)
        )
        means = [share.mean(axis=0, dtype=np.float64) for share in shares]
        found.append(Survey(units, peaks, places, lowest.min(axis=0), *means))
    return found


def batch_size(part: keras.Model, images: np.ndarray) -> int:
    """Return the batch size that keeps a model's maps below `MOST_BYTES`."""
    maps = sum(
        4 * int(np.prod(tensor.shape[1:]))
        for layer in part.layers
        for tensor in ([layer.output] if hasattr(layer.output, "shape") else [])
    )
    return int(np.clip(MOST_BYTES // max(1, maps), 1, min(LARGEST_BATCH, len(images))))


def selectivity(found: Survey, labels: np.ndarray) -> np.ndarray:
    """Return how well each unit's response separates the classes.

    Args:
        found: A layer's survey of n images.
        labels: Integers (n,).

    Returns:
        float64 (units,), 0 to 1: the share of the variance of the peaks that is
        between classes; 0 for a unit whose response never varies.
    """
    peaks = found.peaks.astype(np.float64)
    total = peaks.var(axis=0)
    between = np.zeros_like(total)
    for label in np.unique(labels):
        chosen = peaks[labels == label]
        between += len(chosen) * (chosen.mean(axis=0) - peaks.mean(axis=0)) ** 2
    varies = total > 1e-12
    return np.where(varies, between / len(peaks) / np.where(varies, total, 1), 0.0)
