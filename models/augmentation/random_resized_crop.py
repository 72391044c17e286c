"""Crop a random rectangle and resize it to the image's size."""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer
from fovea.models.augmentation.resample import resample


@keras.saving.register_keras_serializable(package="fovea")
class RandomResizedCrop(PerImageLayer):
    """Crop a random rectangle of every image and resize it to the image's size.

    Szegedy et al.: "Going Deeper with Convolutions", CVPR 2015, section 6: 8 % to
    100 % of the area, sides in a ratio of 3:4 to 4:3; the standard augmentation of
    ImageNet. A rectangle that would be wider or higher than the image is cut to it.

    Args:
        area: Smallest and largest fraction of the image's area.
        ratio: Smallest and largest width divided by height, drawn on a logarithmic
            scale.

    Input shape:
        (N, H, W, C)

    Output shape:
        The same.

    Raises:
        ValueError: If a range is not ascending or outside its bounds.
    """

    def __init__(
        self,
        *,
        area: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < area[0] <= area[1] <= 1:
            raise ValueError(
                f"area must be ascending and within 0 to 1. Received: area={area}"
            )
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(
                f"ratio must be ascending and positive. Received: ratio={ratio}"
            )
        self.area = tuple(area)
        self.ratio = tuple(ratio)

    def augment(self, images: tf.Tensor) -> tf.Tensor:
        """Return the images, each cropped and resized."""
        height, width = images.shape[1:3]
        area = self.draw(images, (), *self.area)
        ratio = ops.exp(self.draw(images, (), *map(math.log, self.ratio)))
        # Sides of the rectangle as fractions of the image's sides.
        across = ops.minimum(ops.sqrt(area * ratio * (height / width)), 1.0)
        down = ops.minimum(ops.sqrt(area / ratio * (width / height)), 1.0)
        offset = self.draw(images, (2,), -0.5, 0.5)
        zero = ops.zeros_like(across)
        rows = [
            ops.stack([across, zero, offset[:, 0] * (1 - across) * width], axis=1),
            ops.stack([zero, down, offset[:, 1] * (1 - down) * height], axis=1),
        ]
        # Upsampling reads up to half a pixel beyond a border, so border pixels repeat.
        return resample(images, ops.stack(rows, axis=1), fill_value=None)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {**super().get_config(), "area": self.area, "ratio": self.ratio}
