"""Convolution by Winograd's algorithm, for training where that is faster."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fovea.models.backend import has_gpu

# Lavin, Gray 2016, section 4.1, F(4x4, 3x3), whose points are 0, 1, -1, 2, -2 and
# infinity: six inputs, three weights, four outputs in each direction.
_TILE = 4
_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
_KERNEL = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    np.float32,
)
_OUTPUT = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ],
    np.float32,
)
# The cost of the transforms is proportional to the number of channels, the saving to
# the product of input and output channels; benchmarks/RESULTS.md has the sizes on both
# sides of this bound.
_LEAST_PRODUCT = 64 * 256


@keras.saving.register_keras_serializable(package="fovea")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with a faster algorithm for training on CPUs.

    Lavin, Gray: "Fast Algorithms for Convolutional Neural Networks", CVPR 2016: a tile
    of 4x4 outputs of a 3x3 convolution takes 36 multiplications for each pair of
    channels instead of 144, between transforms of the input and of the output whose
    cost is negligible with many channels. Every step is a matrix product here, and so
    is every step of the gradient.

    It is used in training, in float32 and without a GPU, for 3x3 kernels with stride 1,
    "same" padding and many channels. Other calls, and exported graphs, use the ordinary
    convolution. Results agree to about 1e-5 of the largest value.

    Arguments, input shape and output shape are those of `keras.layers.Conv2D`.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Convolve, by Winograd's algorithm in training where that is faster."""
        if not training or not self.uses_winograd(inputs):
            return super().call(inputs)
        outputs = winograd(inputs, self.kernel)
        if self.use_bias:
            outputs = outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)

    def uses_winograd(self, inputs: Any) -> bool:
        """Return whether training on this tensor uses Winograd's algorithm."""
        return (
            self.kernel_size == (3, 3)
            and self.strides == (1, 1)
            and self.dilation_rate == (1, 1)
            and self.padding == "same"
            and self.groups == 1
            and self.data_format == "channels_last"
            and self.compute_dtype == "float32"
            and inputs.shape[-1] * self.filters >= _LEAST_PRODUCT
            and None not in inputs.shape[1:]
            and not has_gpu()
        )


def winograd(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve with 3x3 kernels, stride 1 and "same" padding, by Winograd's algorithm.

    Args:
        images: float32 (N, H, W, C), height and width known.
        kernel: float32 (3, 3, C, K).

    Returns:
        float32 (N, H, W, K).
    """
    height, width, channels = images.shape[1:]
    filters = kernel.shape[-1]
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    # The kernel's 3x3 become 6x6 points: (6, 1, 6, C, K).
    points = tf.matmul(_KERNEL, tf.reshape(kernel, (3, -1)))
    points = tf.reshape(points, (6, 3, channels * filters))
    points = tf.reshape(tf.matmul(_KERNEL, points), (6, 1, 6, channels, filters))
    # With the batch as the last axis but one, each transform is one matrix product over
    # long rows.
    x = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (height, -1))
    x = tf.matmul(_to_points(height), x)
    x = tf.matmul(_to_points(width), tf.reshape(x, (6 * rows, width, -1)))
    x = tf.matmul(tf.reshape(x, (6, rows, 6, -1, channels)), points)
    x = tf.reshape(x, (6 * rows, 6 * columns, -1))
    x = tf.reshape(tf.matmul(_to_pixels(width), x), (6 * rows, -1))
    x = tf.matmul(_to_pixels(height), x)
    x = tf.reshape(x, (height, width, -1, filters))
    return tf.transpose(x, (2, 0, 1, 3))


def _to_points(size: int) -> np.ndarray:
    """Return the matrix (6 * tiles, size) from pixels of a line to points of tiles."""
    tiles = -(-size // _TILE)
    matrix = np.zeros((6, tiles, size), np.float32)
    for tile in range(tiles):
        for tap in range(6):
            pixel = _TILE * tile + tap - 1
            if 0 <= pixel < size:
                matrix[:, tile, pixel] = _INPUT[:, tap]
    return matrix.reshape(6 * tiles, size)


def _to_pixels(size: int) -> np.ndarray:
    """Return the matrix (size, 6 * tiles) from points of tiles to pixels of a line."""
    tiles = -(-size // _TILE)
    matrix = np.zeros((size, 6, tiles), np.float32)
    for pixel in range(size):
        matrix[pixel, :, pixel // _TILE] = _OUTPUT[pixel % _TILE]
    return matrix.reshape(size, 6 * tiles)
