"""Hiding a square of the image."""

import keras
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer


@keras.saving.register_keras_serializable(package="fovea")
class Cutout(PerImageLayer):
    """Fill a square of every image with one value.

    DeVries, Taylor: "Improved Regularization of Convolutional Neural Networks with
    Cutout", arXiv 1708.04552. The square's centre is any pixel with equal chance,
    so that part of the square may lie outside the image: the paper found it
    important that some images stay mostly visible. Its sizes: 16 for CIFAR-10, 8
    for CIFAR-100.

    Args:
        size: Side of the square in pixels.
        fill_value: Value of hidden pixels.

    Input shape:
        (N, H, W, C)

    Output shape:
        The same.

    Raises:
        ValueError: If `size` is not a positive integer.
    """

    def __init__(self, size: int, *, fill_value: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"size must be a positive integer. Received: size={size}")
        self.size = size
        self.fill_value = fill_value

    def augment(self, images):
        height, width = images.shape[1:3]
        rows = self._hidden(images, height)
        columns = self._hidden(images, width)
        hidden = ops.logical_and(rows[:, :, None, None], columns[:, None, :, None])
        return ops.where(hidden, self.fill_value, images)

    def _hidden(self, images, length: int):
        first = self.draw_integers(images, (1,), 0, length) - self.size // 2
        place = ops.arange(length)
        return ops.logical_and(place >= first, place < first + self.size)

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "fill_value": self.fill_value,
        }
