"""RandAugment: random operations from a fixed list, all at one strength."""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from fovea.models.augmentation.color_jitter import check_channels, grey
from fovea.models.augmentation.per_image import PerImageLayer, computed_once
from fovea.models.augmentation.resample import resample

OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "auto_contrast",
    "equalize",
)
MOST = 30  # the scale of `magnitude`


@keras.saving.register_keras_serializable(package="fovea")
class RandAugment(PerImageLayer):
    """Apply `num_ops` operations, drawn for every image with equal probability.

    Cubuk, Zoph, Shlens, Le: "RandAugment: Practical automated data augmentation with a
    reduced search space", arXiv 1909.13719. The 14 operations are the paper's, and the
    meaning of a magnitude for each is that of torchvision's RandAugment, 31 steps.

    What differs: an image's geometric operations precede its colour operations, as one
    bilinear resampling about the centre, instead of one by one in the order drawn;
    otherwise different operations for each image would cost as much as all operations
    for all images.

    Args:
        value_range: Values of black and white. Uncovered pixels become black.
        num_ops: Operations for each image; one may be drawn twice.
        magnitude: Their strength, 0 to 30.

    Input shape:
        (N, H, W, C), C = 1 or 3, at least 3x3

    Output shape:
        The same.

    Raises:
        ValueError: If an argument is out of its bounds, or there are not 1 or 3
            channels.
    """

    def __init__(
        self,
        value_range: tuple[float, float],
        *,
        num_ops: int = 2,
        magnitude: float = 9,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(num_ops, int) or num_ops < 1:
            raise ValueError(
                f"num_ops must be a positive integer. Received: num_ops={num_ops}"
            )
        if not 0 <= magnitude <= MOST:
            raise ValueError(
                f"magnitude must be 0 to {MOST}. Received: magnitude={magnitude}"
            )
        self.value_range = tuple(value_range)
        self.num_ops = num_ops
        self.magnitude = magnitude

    def build(self, input_shape: Any) -> None:
        """Check the number of channels."""
        check_channels(input_shape)
        super().build(input_shape)

    def augment(self, images: tf.Tensor) -> tf.Tensor:
        """Return the images after the operations that were drawn for each."""
        drawn = self.draw_integers(images, (self.num_ops,), 0, len(OPERATIONS))
        signs = ops.where(self.draw(images, (self.num_ops,)) < 0.5, -1.0, 1.0)
        low, high = self.value_range
        x = (images - low) / (high - low)
        x = self.apply(x, drawn, signs)
        return x * (high - low) + low

    def apply(self, x: tf.Tensor, drawn: tf.Tensor, signs: tf.Tensor) -> tf.Tensor:
        """Apply drawn operations.

        Args:
            x: Images, 0 to 1.
            drawn: int32 (N, num_ops), indices into `OPERATIONS`.
            signs: float32 (N, num_ops), 1 or -1: the direction of an operation that has
                two.
        """
        strength = self.magnitude / MOST
        maps = None
        for i in range(drawn.shape[1]):
            step = geometry(drawn[:, i], signs[:, i] * strength, *x.shape[1:3])
            maps = step if maps is None else chain(maps, step)
        x = computed_once(resample(x, maps, fill_value=0.0))
        for i in range(drawn.shape[1]):
            x = recolour(x, drawn[:, i], signs[:, i], strength)
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {
            **super().get_config(),
            "value_range": self.value_range,
            "num_ops": self.num_ops,
            "magnitude": self.magnitude,
        }


def geometry(
    drawn: tf.Tensor, strength: tf.Tensor, height: int, width: int
) -> tf.Tensor:
    """Return each image's map for `resample`: (N, 2, 3); most are the identity."""

    def amount(name: str, most: float) -> tf.Tensor:
        return ops.where(drawn == OPERATIONS.index(name), strength * most, 0.0)

    # At most one of these amounts is not zero, so that they can simply be added.
    angle = amount("rotate", math.radians(30))
    cos, sin = ops.cos(angle), ops.sin(angle)
    shift = 150 / 331
    rows = [
        [cos, sin - amount("shear_x", 0.3), -amount("translate_x", shift * width)],
        [-sin - amount("shear_y", 0.3), cos, -amount("translate_y", shift * height)],
    ]
    return ops.stack([ops.stack(row, axis=1) for row in rows], axis=1)


def chain(outer: tf.Tensor, inner: tf.Tensor) -> tf.Tensor:
    """Return the maps that apply `inner` to a pixel's coordinates, then `outer`.

    Sums of products rather than a matrix product, which GPUs round to 10 bits.
    """
    linear = ops.sum(outer[:, :, :2, None] * inner[:, None], axis=2)
    return ops.concatenate([linear[..., :2], linear[..., 2:] + outer[..., 2:]], axis=2)


def recolour(
    x: tf.Tensor, drawn: tf.Tensor, signs: tf.Tensor, strength: float
) -> tf.Tensor:
    """Apply each image's colour operation, if one was drawn; x is 0 to 1."""
    drawn = drawn[:, None, None, None]

    def where(name: str, then: tf.Tensor | float, otherwise: tf.Tensor) -> tf.Tensor:
        return ops.where(drawn == OPERATIONS.index(name), then, otherwise)

    # Four of the operations interpolate to, or extrapolate from, another image.
    grey_values = grey(x)
    base = where("brightness", 0.0, x)
    base = where("color", grey_values, base)
    base = where("contrast", ops.mean(grey_values, axis=(1, 2), keepdims=True), base)
    base = where("sharpness", smooth(x), base)
    factor = 1 + signs[:, None, None, None] * (0.9 * strength)
    y = ops.clip(base + factor * (x - base), 0.0, 1.0)

    coarse = 2.0 ** round(4 * strength)  # the last bits of a byte that are dropped
    y = where("posterize", ops.floor(ops.round(x * 255) / coarse) * coarse / 255, y)
    y = where("solarize", ops.where(x >= 1 - strength, 1 - x, x), y)
    y = where("auto_contrast", auto_contrast(x), y)
    return where("equalize", equalize(x), y)


def smooth(x: tf.Tensor) -> tf.Tensor:
    """Blur with Pillow's SMOOTH filter, which leaves border pixels as they are."""
    rows = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
    square = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    inside = x[:, 1:-1, 1:-1]
    change = (square + 4 * inside) / 13 - inside
    return x + ops.pad(change, ((0, 0), (1, 1), (1, 1), (0, 0)))


def auto_contrast(x: tf.Tensor) -> tf.Tensor:
    """Stretch every channel of every image to 0..1."""
    low = ops.min(x, axis=(1, 2), keepdims=True)
    span = ops.max(x, axis=(1, 2), keepdims=True) - low
    return ops.where(span > 0, (x - low) / ops.maximum(span, 1e-6), x)


def equalize(x: tf.Tensor) -> tf.Tensor:
    """Make the 256 grey values of every channel equally frequent, as Pillow does."""
    height, width, channels = x.shape[1:]
    value = ops.cast(ops.round(x * 255), "int32")
    # The tables of 256 values of all channels of all images are concatenated.
    count = ops.shape(x)[0] * channels
    index = value + ops.reshape(ops.arange(count) * 256, (-1, 1, 1, channels))
    flat = ops.reshape(index, (-1,))
    histogram = ops.reshape(
        tf.math.unsorted_segment_sum(ops.ones_like(flat), flat, count * 256),
        (-1, 256),
    )
    brightest = ops.max(value, axis=(1, 2), keepdims=True)
    on_top = ops.sum(ops.cast(value == brightest, "int32"), axis=(1, 2))
    step = ops.reshape((height * width - on_top) // 255, (-1, 1))
    below = ops.cumsum(histogram, axis=1) - histogram
    level = ops.minimum((below + step // 2) // ops.maximum(step, 1), 255)
    table = ops.where(step == 0, ops.arange(256), level)
    table = ops.cast(ops.reshape(table, (-1,)), "float32") / 255
    return tf.gather(table, index)
