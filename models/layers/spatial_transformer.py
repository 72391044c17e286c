"""The sampler of a spatial transformer network."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fovea")
class SpatialTransformer(keras.layers.Layer):
    """Resample each image on its own affine grid, with bilinear interpolation.

    Jaderberg, Simonyan, Zisserman, Kavukcuoglu 2015, sections 3.2 and 3.3. An
    output pixel at (x_t, y_t) takes the image's value at

        x_s = t[0] x_t + t[1] y_t + t[2]
        y_s = t[3] x_t + t[4] y_t + t[5]

    where x and y run from -1, the centre of the first pixel, to 1, the centre of the
    last. Values outside the image are zero. The result is differentiable with respect
    to the image and to theta, unlike `keras.ops.image.affine_transform`.

    Coordinates and weights are computed in float32 with any compute dtype: bfloat16
    cannot represent the coordinates of a wide image.

    Args:
        height: Height of the output; None for that of the input.
        width: Width of the output; None for that of the input.

    Input shape:
        A pair: images (N, H, W, C) and theta (N, 6). theta = (1, 0, 0, 0, 1, 0)
        is the identity.

    Output shape:
        (N, height, width, C).

    Example:
    ```python
    resampled = SpatialTransformer()([images, theta])
    ```
    """

    def __init__(
        self, height: int | None = None, width: int | None = None, **kwargs: Any
    ) -> None:
        # Without autocast theta is not rounded to the compute dtype.
        super().__init__(autocast=False, **kwargs)
        self.height = height
        self.width = width

    def call(self, inputs: Any) -> Any:
        """Resample the images with theta."""
        images, theta = inputs
        _, height, width, channels = images.shape
        rows, columns = self.height or height, self.width or width
        images = ops.cast(images, "float32")
        theta = ops.cast(theta, "float32")

        # The grid, flattened to P = rows * columns points (x_t, y_t, 1).
        x = ops.tile(_centres(columns), (rows,))
        y = ops.repeat(_centres(rows), columns)
        grid = ops.stack([x, y, ops.ones_like(x)])
        source = ops.matmul(ops.reshape(theta, (-1, 2, 3)), grid)
        x = (source[:, 0] + 1) * (width - 1) / 2
        y = (source[:, 1] + 1) * (height - 1) / 2

        left, top = ops.floor(x), ops.floor(y)
        pixels = ops.reshape(images, (-1, height * width, channels))

        def corner(column: Any, row: Any) -> Any:
            """Return the pixel at (column, row) times its bilinear weight."""
            weight = (1 - ops.abs(x - column)) * (1 - ops.abs(y - row))
            inside = ops.logical_and(
                ops.logical_and(column >= 0, column <= width - 1),
                ops.logical_and(row >= 0, row <= height - 1),
            )
            # Clipped before the cast: a coordinate far outside overflows int32.
            index = ops.cast(ops.clip(row, 0, height - 1), "int32") * width
            index = index + ops.cast(ops.clip(column, 0, width - 1), "int32")
            value = ops.take_along_axis(pixels, index[..., None], axis=1)
            return value * ops.where(inside, weight, 0.0)[..., None]

        sampled = (
            corner(left, top)
            + corner(left + 1, top)
            + corner(left, top + 1)
            + corner(left + 1, top + 1)
        )
        sampled = ops.reshape(sampled, (-1, rows, columns, channels))
        return ops.cast(sampled, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (N, height, width, C)."""
        (batch, height, width, channels), _ = input_shape
        return (batch, self.height or height, self.width or width, channels)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {**super().get_config(), "height": self.height, "width": self.width}


def _centres(size: int) -> Any:
    """Return the coordinates of the centres of `size` pixels, from -1 to 1."""
    return ops.linspace(-1.0, 1.0, size) if size > 1 else ops.zeros(1)
