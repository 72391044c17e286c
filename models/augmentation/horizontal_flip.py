"""Flip images left to right."""

import keras
import tensorflow as tf
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer


@keras.saving.register_keras_serializable(package="fovea")
class HorizontalFlip(PerImageLayer):
    """Flip every image left to right with probability one half.

    Input shape:
        (N, H, W, C)

    Output shape:
        The same.
    """

    def augment(self, images: tf.Tensor) -> tf.Tensor:
        """Return the images, some of them flipped."""
        flipped = self.draw(images, (1, 1, 1)) < 0.5
        return ops.where(flipped, ops.flip(images, axis=2), images)
