"""Fill a square of the image."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer


@keras.saving.register_keras_serializable(package="fovea")
class Cutout(PerImageLayer):
    """Fill a square of every image with one value.

    DeVries, Taylor: "Improved Regularization of Convolutional Neural Networks with
    Cutout", arXiv 1708.04552. The square's centre is any pixel, with equal probability,
    so that part of the square may lie outside the image: the paper found it important
    that some images stay mostly visible. Sizes in the paper: 16 for CIFAR-10, 8 for
    CIFAR-100.

    Args:
        size: Side of the square in pixels.
        fill_value: Value of the pixels in the square.

    Input shape:
        (N, H, W, C)

    Output shape:
        The same.

    Raises:
        ValueError: If `size` is not a positive integer.
    """

    def __init__(self, size: int, *, fill_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"size must be a positive integer. Received: size={size}")
        self.size = size
        self.fill_value = fill_value

    def augment(self, images: tf.Tensor) -> tf.Tensor:
        """Return the images, a square of each filled."""
        height, width = images.shape[1:3]
        rows = self._filled(images, height)
        columns = self._filled(images, width)
        filled = ops.logical_and(rows[:, :, None, None], columns[:, None, :, None])
        return ops.where(filled, self.fill_value, images)

    def _filled(self, images: tf.Tensor, length: int) -> tf.Tensor:
        """Return which pixels along one axis to fill: bool (N, length)."""
        first = self.draw_integers(images, (1,), 0, length) - self.size // 2
        index = ops.arange(length)
        return ops.logical_and(index >= first, index < first + self.size)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {
            **super().get_config(),
            "size": self.size,
            "fill_value": self.fill_value,
        }
