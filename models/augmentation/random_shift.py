"""Shifting by whole pixels: padding and cropping in one."""

import keras
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer
from fovea.models.augmentation.resample import pixel_index, take_pixels


@keras.saving.register_keras_serializable(package="fovea")
class RandomShift(PerImageLayer):
    """Shift every image by up to `pixels` whole pixels both ways.

    The same as padding by `pixels` on every side and cropping back to the old size
    at a random place, the standard augmentation of CIFAR-10 (He et al., 2015, pad
    4). All (2 * pixels + 1) squared offsets are equally likely.

    Args:
        pixels: Largest shift in either direction.
        padding: "constant" shows `fill_value` where nothing is left to show,
            "reflect" the image mirrored at its border pixel.
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
        **kwargs,
    ):
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

    def augment(self, images):
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

    def get_config(self):
        return {
            **super().get_config(),
            "pixels": self.pixels,
            "padding": self.padding,
            "fill_value": self.fill_value,
        }
