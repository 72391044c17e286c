"""Resample each image of a batch by its own map."""

import tensorflow as tf
from keras import ops


def resample(
    images: tf.Tensor, matrices: tf.Tensor, fill_value: float | None
) -> tf.Tensor:
    """Resample every image by its own affine map, with bilinear interpolation.

    Args:
        images: Float32 (N, H, W, C), height and width known.
        matrices: Float32 (N, 2, 3). Row 0 gives x, row 1 gives y of the point that an
            output pixel reads, from (x, y, 1) of that pixel; in pixels from the image's
            centre, y pointing down.
        fill_value: Value outside the image; None repeats its border pixels.

    Returns:
        Float32 (N, H, W, C).
    """
    height, width, channels = images.shape[1:]
    # With a border of one pixel, to which all points outside are clipped, the image
    # extends without end.
    border = ((0, 0), (1, 1), (1, 1), (0, 0))
    if fill_value is None:
        padded = ops.pad(images, border, mode="symmetric")
    else:
        padded = ops.pad(images, border, constant_values=fill_value)
    column, x = _sources(matrices[:, 0], height, width, size=width)
    row, y = _sources(matrices[:, 1], height, width, size=height)
    index = pixel_index(padded, row, column)
    if channels == 1:
        # Without a last axis of 1 the blending below is three times as fast on CPUs.
        padded = padded[..., 0]
    else:
        x, y = x[..., None], y[..., None]
    below = width + 2
    top_left = take_pixels(padded, index)
    top = top_left + x * (take_pixels(padded, index + 1) - top_left)
    bottom_left = take_pixels(padded, index + below)
    bottom_right = take_pixels(padded, index + (below + 1))
    bottom = bottom_left + x * (bottom_right - bottom_left)
    return ops.reshape(top + y * (bottom - top), (-1, height, width, channels))


def _sources(
    coefficients: tf.Tensor, height: int, width: int, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the coordinates that all pixels read along one axis, in two parts.

    Args:
        coefficients: (N, 3), the row of the affine maps for that axis.
        height: Rows of the output.
        width: Columns of the output.
        size: Pixels of the source along this axis, without its border.

    Returns:
        A pair (N, H, W): the integer part, an int32 index into the padded source, and
        the fraction, float32 0 to 1.
    """
    x = ops.arange(width, dtype="float32") - (width - 1) / 2
    y = ops.arange(height, dtype="float32") - (height - 1) / 2
    # As the sum of a row and a column: two small products and one large sum.
    across = coefficients[:, 0:1] * x
    down = coefficients[:, 1:2] * y + (coefficients[:, 2:3] + ((size - 1) / 2 + 1))
    points = across[:, None, :] + down[:, :, None]
    points = ops.clip(points, 0.0, size + 1.0)
    whole = ops.minimum(ops.floor(points), float(size))
    return ops.cast(whole, "int32"), points - whole


def pixel_index(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Return the indices of pixels of each image in the flattened batch.

    Args:
        images: (N, H, W, C).
        rows: int32, broadcastable to (N, h, w).
        columns: int32, broadcastable to (N, h, w).
    """
    height, width = images.shape[1:3]
    first = ops.arange(ops.shape(images)[0]) * (height * width)
    return (rows * width + first[:, None, None]) + columns


def take_pixels(images: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Return the pixels with the indices of `pixel_index`: (N, h, w[, C])."""
    flat = ops.reshape(images, (-1, *images.shape[3:]))
    # keras.ops.take also handles negative indices, which takes 70 % more time.
    return tf.gather(flat, index)
