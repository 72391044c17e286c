"""The pixels that a model sees of an image file, in TensorFlow operations.

The exported graph and the loader of image folders run the same operations, so that a
model is trained on what it will be served. `fovea.serving.protocol.pixels` computes
the same pixels without TensorFlow; a test compares the two over a corpus of files.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

Shape = tuple[int, int, int]

# The depths of images that have a file format: grey and colour.
PICTURE_CHANNELS = (1, 3)
_JPEG_START = b"\xff\xd8\xff"


def decode_images(image_bytes: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Decode encoded images and bring them to one shape.

    Args:
        image_bytes: string [N]: JPEG, PNG, BMP or GIF of any size.
        shape: (height, width, channels) to arrive at, channels 1 or 3.

    Returns:
        uint8 [N, height, width, channels].
    """
    return tf.map_fn(
        lambda encoded: decode_image(encoded, shape),
        image_bytes,
        fn_output_signature=tf.TensorSpec(shape, tf.uint8),
    )


def decode_image(encoded: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Decode one encoded image, string [], and bring it to a shape; see `fit_image`."""
    return fit_image(decode(encoded), shape)


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decode one image file.

    Of an animation the first frame is decoded. A JPEG goes through the exact inverse
    transform, which Pillow uses as well; TensorFlow's default is an approximation,
    whose values differ in most of a photograph.

    Args:
        encoded: string []: JPEG, PNG, BMP or GIF.

    Returns:
        uint8 [height, width, 1 to 4]: grey or RGB, perhaps with alpha.
    """
    image = tf.cond(
        tf.equal(tf.strings.substr(encoded, 0, len(_JPEG_START)), _JPEG_START),
        lambda: tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(encoded, expand_animations=False),
    )
    return tf.ensure_shape(image, [None, None, None])


def fit_image(image: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Bring pixels to the depth and the size that a model takes.

    Transparency is laid on white, colour becomes grey if the model takes that, and
    another size is resampled without keeping the aspect ratio, in this order.

    Args:
        image: uint8 [height, width, 1 to 4].
        shape: (height, width, channels) to arrive at, channels 1 or 3.

    Returns:
        uint8 of that shape.
    """
    height, width, channels = shape
    image = tf.ensure_shape(image, [None, None, None])
    depth = tf.shape(image)[2]
    # Grey counts as three equal colours; `to_grey` keeps it unchanged.
    colour = tf.cond(
        depth < 3,
        lambda: tf.repeat(image[..., :1], 3, axis=2),
        lambda: image[..., :3],
    )
    colour = tf.cond(
        tf.equal(depth % 2, 0),
        lambda: on_white(colour, alpha=image[..., -1:]),
        lambda: colour,
    )
    colour = tf.ensure_shape(colour, [None, None, 3])
    if channels == 1:
        colour = to_grey(colour)
    return tf.ensure_shape(resample(colour, height, width), shape)


def on_white(colour: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Lay colour on white: c * alpha + white * (1 - alpha), rounded.

    Args:
        colour: uint8 [height, width, 3].
        alpha: uint8 [height, width, 1], 255 where the colour is opaque.

    Returns:
        uint8 [height, width, 3].
    """
    colour, alpha = tf.cast(colour, tf.int32), tf.cast(alpha, tf.int32)
    blended = (colour * alpha + 255 * (255 - alpha) + 127) // 255
    return tf.cast(blended, tf.uint8)


def to_grey(colour: tf.Tensor) -> tf.Tensor:
    """Turn colour into grey by ITU-R 601-2, in the integers that Pillow uses.

    Args:
        colour: uint8 [height, width, 3].

    Returns:
        uint8 [height, width, 1].
    """
    red, green, blue = tf.unstack(tf.cast(colour, tf.int32), axis=-1)
    grey = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) // 0x10000
    return tf.cast(grey, tf.uint8)[..., tf.newaxis]


def resample(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resample pixels by the triangle filter, widened where the image shrinks.

    Args:
        image: uint8 [any height, any width, channels].
        height: Rows to arrive at.
        width: Columns to arrive at.

    Returns:
        uint8 [height, width, channels].
    """
    values = tf.cast(image, tf.float32)
    values = tf.image.resize(values, (height, width), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(values), 0, 255), tf.uint8)


def fit_images(images: np.ndarray, shape: Shape) -> np.ndarray:
    """Bring images in memory to another size or depth; see `fit_image`.

    Args:
        images: uint8 (n, height, width, 1 to 4).
        shape: (height, width, channels) to arrive at, channels 1 or 3.

    Returns:
        uint8 (n, *shape).
    """
    fitted = np.empty((len(images), *shape), np.uint8)
    fit = fitter(shape)
    for place, image in enumerate(images):
        fitted[place] = fit(image).numpy()
    return fitted


@functools.cache
def decoder(shape: Shape) -> Callable[[bytes], Any]:
    """Return `decode_image` for a shape, traced once: bytes -> uint8 tensor."""
    return tf.function(
        functools.partial(decode_image, shape=shape),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )


@functools.cache
def fitter(shape: Shape) -> Callable[[np.ndarray], Any]:
    """Return `fit_image` for a shape, traced once: uint8 array -> uint8 tensor."""
    return tf.function(
        functools.partial(fit_image, shape=shape),
        input_signature=[tf.TensorSpec([None, None, None], tf.uint8)],
        autograph=False,
    )
