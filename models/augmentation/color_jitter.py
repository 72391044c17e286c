"""Brightness, contrast, saturation and hue as one linear map of the colours."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer

# RGB -> YIQ, the colour space of NTSC: Y is the grey value, and rotating (I, Q) about Y
# changes the hue. The first row has the weights of ITU-R 601.
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def _in_rgb(yiq_map: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the map of RGB colours that is `yiq_map` in YIQ."""
    return np.linalg.inv(YIQ) @ np.array(yiq_map) @ YIQ


# A colour's grey part, its chroma, and its chroma rotated by 90 degrees, in RGB.
_GREY = _in_rgb([[1, 0, 0], [0, 0, 0], [0, 0, 0]])
_CHROMA = _in_rgb([[0, 0, 0], [0, 1, 0], [0, 0, 1]])
_ROTATED = _in_rgb([[0, 0, 0], [0, 0, -1], [0, 1, 0]])


@keras.saving.register_keras_serializable(package="fovea")
class ColorJitter(PerImageLayer):
    """Change brightness, contrast, saturation and hue of every image.

    All four are linear in the colours, so that together they are one 3x3 matrix and one
    constant for each image, computed in one pass instead of four and two conversions.
    Values are clipped once, at the end. The hue is rotated in YIQ rather than HSV:
    similar for natural colours, and linear.

    Grey images (one channel) have neither saturation nor hue; only their brightness and
    contrast change.

    Args:
        value_range: Values of black and white.
        brightness: Largest relative change of all values; below 1.
        contrast: Largest relative change of the distance to the image's mean grey.
        saturation: Largest relative change of the distance to a pixel's grey.
        hue: Largest rotation on the colour circle, 0.5 being half a turn.

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
        **kwargs: Any,
    ) -> None:
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

    def build(self, input_shape: Any) -> None:
        """Check the number of channels."""
        check_channels(input_shape)
        super().build(input_shape)

    def augment(self, images: tf.Tensor) -> tf.Tensor:
        """Return the images with other colours."""
        low, high = self.value_range
        x = (images - low) / (high - low)
        amounts = ops.unstack(self.draw(images, (4, 1, 1, 1), -1.0, 1.0), axis=1)
        brightness = 1 + self.brightness * amounts[0]
        contrast = 1 + self.contrast * amounts[1]
        middle = brightness * ops.mean(grey(x), axis=(1, 2), keepdims=True)
        x = contrast * (brightness * x - middle) + middle
        if images.shape[-1] == 3:
            saturation = 1 + self.saturation * amounts[2]
            angle = 2 * math.pi * self.hue * amounts[3]
            x = sum(
                x[..., i : i + 1]
                * (
                    _GREY[:, i].astype("float32")
                    + saturation * ops.cos(angle) * _CHROMA[:, i].astype("float32")
                    + saturation * ops.sin(angle) * _ROTATED[:, i].astype("float32")
                )
                for i in range(3)
            )
        return ops.clip(x, 0.0, 1.0) * (high - low) + low

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {
            **super().get_config(),
            "value_range": self.value_range,
            "brightness": self.brightness,
            "contrast": self.contrast,
            "saturation": self.saturation,
            "hue": self.hue,
        }


def grey(images: tf.Tensor) -> tf.Tensor:
    """Return the grey values of RGB or grey images: (N, H, W, 1)."""
    if images.shape[-1] == 1:
        return images
    weights = YIQ[0].tolist()
    return sum(images[..., i : i + 1] * weights[i] for i in range(3))


def check_channels(input_shape: Any) -> None:
    """Check that images have 1 or 3 channels.

    Raises:
        ValueError: If they have another number.
    """
    if input_shape[-1] not in (1, 3):
        raise ValueError(
            "Colours can be changed in images of 1 channel (grey) or 3 (RGB). "
            f"Received: input_shape={tuple(input_shape)}"
        )
