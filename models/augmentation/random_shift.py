"""Shift images by whole pixels: pad and crop in one."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer
from fovea.models.augmentation.resample import pixel_index, take_pixels


@keras.saving.register_keras_serializable(package="fovea")
class RandomShift(PerImageLayer):
    """Shift every image by up to `pixels` whole pixels in both axes.

    The same as padding by `pixels` on every side and cropping back to the original size
    at a random position, the standard augmentation for CIFAR-10 (He et al., 2015,
    padding 4). All (2 * pixels + 1) ** 2 offsets are equally likely.

    Args:
        pixels: Largest shift in either direction.
        padding: "constant" fills uncovered pixels with `fill_value`, "reflect" with the
            image reflected at its border pixel.
        fill_value: Value of uncovered pixels.

    Input shape:
        (N, H, W, C)

    Output shape:
        The same.

    Raises:
        ValueError: If `pixels` or `padding` is unusable.
    """

    def __init__(
        self,
        pixels: int,
        *,
        padding: str = "constant",
        fill_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(pixels, int) or pixels < 1:
            raise ValueError(
                f"pixels must be a positive integer. Received: pixels={pixels}"
            )
        if padding not in ("constant", "reflect"):
            raise ValueError(
                f"padding must be constant or reflect. Received: padding={padding}"
            )
        self.pixels = pixels
        self.padding = padding
        self.fill_value = fill_value

    def augment(self, images: tf.Tensor) -> tf.Tensor:
        """Return the images, each shifted by its own offset."""
        height, width = images.shape[1:3]
        fill = {"constant_values": self.fill_value}
        padded = ops.pad(
            images,
            ((0, 0), (self.pixels, self.pixels), (self.pixels, self.pixels), (0, 0)),
            mode=self.padding,
            **(fill if self.padding == "constant" else {}),
        )
        corner = self.draw_integers(images, (2,), 0, 2 * self.pixels + 1)
        rows = ops.arange(height) + corner[:, :1]
        columns = ops.arange(width) + corner[:, 1:]
        index = pixel_index(padded, rows[:, :, None], columns[:, None, :])
        return take_pixels(padded, index)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {
            **super().get_config(),
            "pixels": self.pixels,
            "padding": self.padding,
            "fill_value": self.fill_value,
        }
