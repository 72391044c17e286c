"""What is trained, on what, and how: what every part of the loop needs to know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from fovea.training.datasets import load
from fovea.training.datasets.dataset import Dataset
from fovea.training.loop import batches
from fovea.training.recipes.schema import Recipe


@dataclass(frozen=True)
class Task:
    """What is trained, on what, and how.

    Attributes:
        model: The architecture's name.
        recipe: The hyper-parameters.
        input_shape: (height, width, channels) of the images.
        num_classes: Number of logits.
        images: uint8 (n, height, width, channels), to train on.
        labels: Integers (n,).
        held_out: Images and labels to validate on; may be empty.
        seed: Of weights, shuffling, mixing and augmentation.
        strategy: The devices to train on.
    """

    model: str
    recipe: Recipe
    input_shape: tuple[int, int, int]
    num_classes: int
    images: np.ndarray
    labels: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray]
    seed: int
    strategy: tf.distribute.Strategy

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        return batches.epoch_size(
            len(self.images),
            self.recipe.batch_size,
            drop_last=self.recipe.drop_last,
            replicas=self.strategy.num_replicas_in_sync,
        )[1]

    def side(self, epoch: int) -> int:
        """Return height and width of the training images in an epoch."""
        sides = [side for start, side in self.recipe.sizes if start <= epoch]
        return sides[-1] if sides else self.input_shape[0]

    def images_at(self, epoch: int) -> np.ndarray:
        """Return the training images at an epoch's size."""
        if not self.recipe.sizes:
            return self.images
        return batches.resized(self.images, self.side(epoch))

    def shape_at(self, epoch: int) -> tuple[int, int, int]:
        """Return (height, width, channels) of the training images in an epoch."""
        if not self.recipe.sizes:
            return self.input_shape
        side = self.side(epoch)
        return side, side, self.input_shape[2]


def make_task(
    model: str,
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    strategy: tf.distribute.Strategy,
) -> Task:
    """Return the task of training on a data set, with a part of it held out.

    Raises:
        ValueError: If no image would be left to train on.
    """
    images, labels, held_out_images, held_out_labels = load.split(
        dataset, recipe.validation_split, seed
    )
    return Task(
        model=model,
        recipe=recipe,
        input_shape=dataset.input_shape,
        num_classes=dataset.num_classes,
        images=images,
        labels=labels,
        held_out=(held_out_images, held_out_labels),
        seed=seed,
        strategy=strategy,
    )
