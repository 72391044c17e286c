"""Brightness, contrast, saturation and hue, as one linear map of the colours."""

import math

import keras
import numpy as np
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer

# RGB -> YIQ, the colour space of NTSC: Y is the grey value, and turning (I, Q) about
# Y changes the hue. Its first row is also how ITU-R 601 weighs colours.
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def _in_rgb(yiq_map) -> np.ndarray:
    return np.linalg.inv(YIQ) @ np.array(yiq_map) @ YIQ


# What is left of a colour's RGB: its grey part, its coloured part, and that turned
# by 90 degrees.
_GREY = _in_rgb([[1, 0, 0], [0, 0, 0], [0, 0, 0]])
_COLOUR = _in_rgb([[0, 0, 0], [0, 1, 0], [0, 0, 1]])
_TURNED = _in_rgb([[0, 0, 0], [0, 0, -1], [0, 1, 0]])


@keras.saving.register_keras_serializable(package="fovea")
class ColorJitter(PerImageLayer):
    """Change brightness, contrast, saturation and hue of every image.

    All four are linear in the colours, so that they make one 3x3 matrix and one
    constant for each image, and cost one pass instead of four with two
    conversions. Values are clipped once, at the end. Turning the hue happens in YIQ
    rather than HSV: close for natural colours, and linear.

    Grey images (one channel) have neither saturation nor hue; there only
    brightness and contrast act.

    Args:
        value_range: What black and white are.
        brightness: Largest relative change of all values; below 1.
        contrast: Largest relative change of the distance to the image's mean grey.
        saturation: Largest relative change of the distance to a pixel's grey.
        hue: Largest turn on the colour circle, 0.5 being half way round.

    Input shape:
        (N, H, W, C), C = 1 or 3

    Output shape:
        The same.

    Raises:
        ValueError: If an amount is out of its bounds, or there are not 1 or 3
            channels.
    """

    def __init__(
        self,
        value_range: tuple[float, float],
        *,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value, most in (
            ("brightness", brightness, 1),
            ("contrast", contrast, 1),
            ("saturation", saturation, 1),
            ("hue", hue, 0.5),
        ):
            if not 0 <= value <= most:
                raise ValueError(
                    f"{name} must be 0 to {most}. Received: {name}={value}"
                )
        self.value_range = tuple(value_range)
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue

    def build(self, input_shape):
        check_channels(input_shape)
        super().build(input_shape)

    def augment(self, images):
        low, high = self.value_range
        x = (images - low) / (high - low)
        amounts = ops.unstack(self.draw(images, (4, 1, 1, 1), -1.0, 1.0), axis=1)
        brightness = 1 + self.brightness * amounts[0]
        contrast = 1 + self.contrast * amounts[1]
        middle = brightness * ops.mean(grey(x), axis=(1, 2), keepdims=True)
        x = contrast * (brightness * x - middle) + middle
        if images.shape[-1] == 3:
            saturation = 1 + self.saturation * amounts[2]
            turn = 2 * math.pi * self.hue * amounts[3]
            x = sum(
                x[..., i : i + 1]
                * (
                    _GREY[:, i].astype("float32")
                    + saturation * ops.cos(turn) * _COLOUR[:, i].astype("float32")
                    + saturation * ops.sin(turn) * _TURNED[:, i].astype("float32")
                )
                for i in range(3)
            )
        return ops.clip(x, 0.0, 1.0) * (high - low) + low

    def get_config(self):
        return {
            **super().get_config(),
            "value_range": self.value_range,
            "brightness": self.brightness,
            "contrast": self.contrast,
            "saturation": self.saturation,
            "hue": self.hue,
        }


def grey(images):
    """Return the grey values of RGB or grey images: (N, H, W, 1)."""
    if images.shape[-1] == 1:
        return images
    weights = YIQ[0].tolist()
    return sum(images[..., i : i + 1] * weights[i] for i in range(3))


def check_channels(input_shape) -> None:
    """Raise ValueError unless images have 1 or 3 channels."""
    if input_shape[-1] not in (1, 3):
        raise ValueError(
            "Colours can be varied in images of 1 channel (grey) or 3 (RGB). "
            f"Received: input_shape={tuple(input_shape)}"
        )
