"""Looking pixels up at other places, for every image its own."""

import tensorflow as tf
from keras import ops


def resample(images, matrices, fill_value: "float | None"):
    """Show every image through an affine map of its own, in one bilinear look-up.

    Args:
        images: Float32 (N, H, W, C), height and width known.
        matrices: Float32 (N, 2, 3). Row 0 gives x, row 1 gives y of the place that
            an output pixel looks at, from (x, y, 1) of that pixel; in pixels from
            the image's centre, y pointing down.
        fill_value: What lies outside the image; None repeats its border pixels.

    Returns:
        Float32 (N, H, W, C).
    """
    height, width, channels = images.shape[1:]
    # A frame of one pixel, and all look-ups kept on it, is a plane without end.
    frame = ((0, 0), (1, 1), (1, 1), (0, 0))
    if fill_value is None:
        framed = ops.pad(images, frame, mode="symmetric")
    else:
        framed = ops.pad(images, frame, constant_values=fill_value)
    column, x = _places(matrices[:, 0], height, width, size=width)
    row, y = _places(matrices[:, 1], height, width, size=height)
    index = pixel_index(framed, row, column)
    if channels == 1:
        # Without a last axis of 1 the blending below is three times as fast on CPUs.
        framed = framed[..., 0]
    else:
        x, y = x[..., None], y[..., None]
    below = width + 2
    top_left = take_pixels(framed, index)
    top = top_left + x * (take_pixels(framed, index + 1) - top_left)
    bottom_left = take_pixels(framed, index + below)
    bottom_right = take_pixels(framed, index + (below + 1))
    bottom = bottom_left + x * (bottom_right - bottom_left)
    return ops.reshape(top + y * (bottom - top), (-1, height, width, channels))


def _places(coefficients, height: int, width: int, size: int):
    """Return where all pixels look along one axis: whole part and the rest.

    Args:
        coefficients: (N, 3), that axis' row of the affine maps.
        height: Rows of the output.
        width: Columns of the output.
        size: Pixels of the source along this axis, without its frame.

    Returns:
        A pair (N, H, W): int32 index into the framed source, float32 0 to 1.
    """
    x = ops.arange(width, dtype="float32") - (width - 1) / 2
    y = ops.arange(height, dtype="float32") - (height - 1) / 2
    # As the sum of a row and a column: two small products and one large sum.
    across = coefficients[:, 0:1] * x
    down = coefficients[:, 1:2] * y + (coefficients[:, 2:3] + ((size - 1) / 2 + 1))
    places = across[:, None, :] + down[:, :, None]
    places = ops.clip(places, 0.0, size + 1.0)
    whole = ops.minimum(ops.floor(places), float(size))
    return ops.cast(whole, "int32"), places - whole


def pixel_index(images, rows, columns):
    """Return where pixels of each image are among the pixels of the whole batch.

    Args:
        images: (N, H, W, C).
        rows: int32, broadcastable to (N, h, w).
        columns: int32, broadcastable to (N, h, w).
    """
    height, width = images.shape[1:3]
    first = ops.arange(ops.shape(images)[0]) * (height * width)
    return (rows * width + first[:, None, None]) + columns


def take_pixels(images, index):
    """Return the pixels that `pixel_index` points at: (N, h, w[, C])."""
    flat = ops.reshape(images, (-1, *images.shape[3:]))
    # Not keras.ops.take: making negative indices right costs it 70 % more time.
    return tf.gather(flat, index)
