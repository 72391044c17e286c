"""Rotate, shift, zoom and shear images in one resampling."""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer
from fovea.models.augmentation.resample import resample


@keras.saving.register_keras_serializable(package="fovea")
class RandomAffine(PerImageLayer):
    """Rotate, shift, zoom and shear every image at random.

    One resampling does all four: several layers in a row would blur several times, lose
    pixels at the border that the next one needs, and take several times as long. Every
    amount is drawn uniformly between minus and plus its largest value.

    Args:
        rotation: Degrees.
        shift: Fraction of width and height; x and y are drawn separately.
        zoom: Relative change of size; width and height are drawn separately, so that
            the aspect ratio changes as well.
        shear: Horizontal displacement divided by vertical distance.
        fill_value: Value of uncovered pixels.

    Input shape:
        (N, H, W, C)

    Output shape:
        The same.

    Raises:
        ValueError: If an amount is negative, or `zoom` is not below 1.
    """

    def __init__(
        self,
        *,
        rotation: float = 0.0,
        shift: float = 0.0,
        zoom: float = 0.0,
        shear: float = 0.0,
        fill_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("rotation", rotation), ("shift", shift), ("shear", shear)):
            if value < 0:
                raise ValueError(
                    f"{name} must not be negative. Received: {name}={value}"
                )
        if not 0 <= zoom < 1:
            raise ValueError(f"zoom must be 0 to below 1. Received: zoom={zoom}")
        self.rotation = rotation
        self.shift = shift
        self.zoom = zoom
        self.shear = shear
        self.fill_value = fill_value

    def augment(self, images: tf.Tensor) -> tf.Tensor:
        """Return the images, each mapped by its own affine map."""
        height, width = images.shape[1:3]
        amounts = ops.unstack(self.draw(images, (6,), -1.0, 1.0), axis=1)
        matrices = affine_matrices(
            angle=math.radians(self.rotation) * amounts[0],
            zoom_x=1 + self.zoom * amounts[1],
            zoom_y=1 + self.zoom * amounts[2],
            shear=self.shear * amounts[3],
            shift_x=self.shift * width * amounts[4],
            shift_y=self.shift * height * amounts[5],
        )
        return resample(images, matrices, self.fill_value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {
            **super().get_config(),
            "rotation": self.rotation,
            "shift": self.shift,
            "zoom": self.zoom,
            "shear": self.shear,
            "fill_value": self.fill_value,
        }


def affine_matrices(
    *,
    angle: tf.Tensor,
    zoom_x: tf.Tensor,
    zoom_y: tf.Tensor,
    shear: tf.Tensor,
    shift_x: tf.Tensor,
    shift_y: tf.Tensor,
) -> tf.Tensor:
    """Return the maps for `resample` that zoom, shear, rotate, then shift the content.

    Args:
        angle: (N,), radians, clockwise.
        zoom_x: (N,), factor by which the content becomes wider.
        zoom_y: (N,), factor by which the content becomes higher.
        shear: (N,), pixels by which a point moves right for each pixel below the
            centre.
        shift_x: (N,), pixels to the right.
        shift_y: (N,), pixels down.

    Returns:
        (N, 2, 3), the inverse map: from an output pixel to its source.
    """
    cos, sin = ops.cos(angle), ops.sin(angle)
    a, b = (cos + shear * sin) / zoom_x, (sin - shear * cos) / zoom_x
    c, d = -sin / zoom_y, cos / zoom_y
    rows = [
        ops.stack([a, b, -(a * shift_x + b * shift_y)], axis=1),
        ops.stack([c, d, -(c * shift_x + d * shift_y)], axis=1),
    ]
    return ops.stack(rows, axis=1)
