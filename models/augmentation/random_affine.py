"""Rotation, shift, zoom and shear in one resampling."""

import math

import keras
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer
from fovea.models.augmentation.resample import resample


@keras.saving.register_keras_serializable(package="fovea")
class RandomAffine(PerImageLayer):
    """Rotate, shift, zoom and shear every image at random.

    One resampling does all four: three layers in a row would blur three times,
    forget at their borders what the next one needs, and take three times as long.
    Every amount is drawn uniformly between minus and plus its largest value.

    Args:
        rotation: Degrees.
        shift: Share of width and height; x and y are drawn apart.
        zoom: Relative change of size; width and height are drawn apart, so that
            images are squeezed as well.
        shear: Horizontal displacement by vertical distance: the slant of writing.
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
        **kwargs,
    ):
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

    def augment(self, images):
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

    def get_config(self):
        return {
            **super().get_config(),
            "rotation": self.rotation,
            "shift": self.shift,
            "zoom": self.zoom,
            "shear": self.shear,
            "fill_value": self.fill_value,
        }


def affine_matrices(*, angle, zoom_x, zoom_y, shear, shift_x, shift_y):
    """Return the maps of `resample` that zoom, shear, turn, then shift what is seen.

    Args:
        angle: (N,), radians, clockwise.
        zoom_x: (N,), factor by which what is seen becomes wider.
        zoom_y: (N,), factor by which it becomes higher.
        shear: (N,), how far right a point moves for each pixel below the centre.
        shift_x: (N,), pixels to the right.
        shift_y: (N,), pixels down.

    Returns:
        (N, 2, 3), the inverse map: from a pixel to the place it shows.
    """
    cos, sin = ops.cos(angle), ops.sin(angle)
    a, b = (cos + shear * sin) / zoom_x, (sin - shear * cos) / zoom_x
    c, d = -sin / zoom_y, cos / zoom_y
    rows = [
        ops.stack([a, b, -(a * shift_x + b * shift_y)], axis=1),
        ops.stack([c, d, -(c * shift_x + d * shift_y)], axis=1),
    ]
    return ops.stack(rows, axis=1)
