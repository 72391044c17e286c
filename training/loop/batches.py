"""The training images as batches: in memory, reshuffled in every epoch."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fovea.models import augmentation

# Images that are resized in one call.
CHUNK = 2_000


def epoch_size(
    images: int, batch_size: int, *, drop_last: bool = False, replicas: int = 1
) -> tuple[int, int]:
    """Return the number of images and the number of steps of an epoch.

    Args:
        images: Number of training images.
        batch_size: Images in a step, over all replicas.
        drop_last: Whether to leave out images that do not fill a whole batch.
        replicas: Number of devices that share a batch, in equal parts.

    Raises:
        ValueError: If a batch cannot be divided evenly, or an epoch has no step.
    """
    if batch_size % replicas:
        raise ValueError(
            f"batch_size must be a multiple of the {replicas} devices that share "
            f"a batch. Received: batch_size={batch_size}"
        )
    # The devices' parts must be equal.
    used = images // replicas * replicas
    if drop_last:
        used -= used % batch_size
    if not used:
        raise ValueError(
            f"The {images} training images do not fill a batch. "
            f"Received: batch_size={batch_size}"
        )
    return used, -(-used // batch_size)


class Batches:
    """Reproducible batches of a training set.

    The batch of a step depends on the seed, the epoch and the step alone, not on what
    was read before it, so that training can resume at any step.

    Args:
        images: uint8 (n, height, width, channels); kept in memory once.
        labels: Integers (n,).
        num_classes: Length of the one-hot labels.
        batch_size: Images in a step, over all replicas.
        seed: Of shuffling and mixing.
        drop_last: Leave out the images that do not fill a whole batch.
        mixing: "none", "mixup" or "cutmix".
        replicas: Over how many devices a batch is spread, in equal parts.

    Raises:
        ValueError: See `epoch_size`.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        batch_size: int,
        seed: int,
        *,
        drop_last: bool = False,
        mixing: str = "none",
        replicas: int = 1,
    ):
        self.images_per_epoch, self.steps_per_epoch = epoch_size(
            len(images), batch_size, drop_last=drop_last, replicas=replicas
        )
        with tf.device("CPU:0"):
            self.images = tf.constant(images)
            self.labels = tf.constant(labels, tf.int64)
        self.num_classes = num_classes
        self.batch_size = batch_size
        self.seed = seed
        self.mixing = mixing
        self.replicas = replicas

    def dataset(
        self, first_epoch: int, end_epoch: int, first_step: int = 0
    ) -> tf.data.Dataset:
        """Return the batches of some epochs, for a single device.

        Args:
            first_epoch: Counted from 0.
            end_epoch: The epoch after the last one.
            first_step: The first step in the first epoch.

        Returns:
            A `tf.data.Dataset` of pairs: uint8 images, float32 one-hot labels.
        """
        steps = tf.data.Dataset.range(first_epoch, end_epoch).flat_map(self._epoch)
        return self._load(steps.skip(first_step))

    def distributed(
        self,
        strategy: tf.distribute.Strategy,
        first_epoch: int,
        end_epoch: int,
        first_step: int = 0,
    ) -> Iterable[Any]:
        """Return the same batches, divided among the replicas of a strategy."""
        if self.replicas == 1:
            return self.dataset(first_epoch, end_epoch, first_step)

        def worker_dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
            local = self.replicas // context.num_input_pipelines
            first = context.input_pipeline_id * local

            def parts(step: tf.Tensor, index: tf.Tensor) -> tf.data.Dataset:
                index = tf.reshape(index, (self.replicas, -1))[first : first + local]
                places = step * self.replicas + tf.range(
                    first, first + local, dtype=tf.int64
                )
                return tf.data.Dataset.from_tensor_slices((places, index))

            steps = tf.data.Dataset.range(first_epoch, end_epoch).flat_map(self._epoch)
            return self._load(steps.skip(first_step).flat_map(parts))

        return strategy.distribute_datasets_from_function(worker_dataset)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Return an epoch's steps: (number in the run, indices of its images)."""
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(self.images), dtype=tf.int64),
            tf.stack([tf.constant(self.seed, tf.int64), epoch]),
            alg="philox",
        )[: self.images_per_epoch]

        def step(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            first = number * self.batch_size
            index = order[first : first + self.batch_size]
            return epoch * self.steps_per_epoch + number, index

        return tf.data.Dataset.range(self.steps_per_epoch).map(step)

    def _load(self, steps: tf.data.Dataset) -> tf.data.Dataset:
        def load(place: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            images = tf.gather(self.images, index)
            labels = tf.one_hot(tf.gather(self.labels, index), self.num_classes)
            if self.mixing != "none":
                mix = augmentation.MIXINGS[self.mixing]
                images, labels = mix(images, labels, _Seeds(self.seed, place))
            return images, labels

        return steps.map(load).prefetch(2)


class _Seeds(keras.random.SeedGenerator):
    """Seeds that depend on the place in the run, not on the number of earlier draws.

    A pipeline reads ahead of training, so that a count would be ahead as well.
    """

    def __init__(self, seed: int, place: tf.Tensor):
        # Without Keras' constructor, which creates a variable.
        self.seed = seed
        self.place = place
        self.draws = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Return the next seed: two int64."""
        self.draws += 1
        draw = tf.constant(self.seed * 1000 + self.draws, tf.int64)
        return tf.stack([draw, self.place])


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """Return smaller images, each pixel the mean of the area that it covers.

    Args:
        images: uint8 (n, size, size, channels).
        side: New height and width, at most `size`.

    Returns:
        uint8 (n, side, side, channels).
    """
    if side == images.shape[1]:
        return images
    small = np.empty((len(images), side, side, images.shape[3]), np.uint8)
    with tf.device("CPU:0"):
        for first in range(0, len(images), CHUNK):
            chunk = tf.image.resize(images[first : first + CHUNK], (side, side), "area")
            small[first : first + CHUNK] = np.round(chunk)
    return small
