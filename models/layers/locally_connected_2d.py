"""A locally connected layer: a convolution without shared weights."""

from typing import Any

import keras
from keras import activations, initializers, ops, regularizers


@keras.saving.register_keras_serializable(package="fovea")
class LocallyConnected2D(keras.layers.Layer):
    """Convolve with separate filters at each position.

    Geometry and arguments are those of `keras.layers.Conv2D`. A convolution uses the
    same filters at all positions; here each of the OH x OW positions has its own, so
    that there are OH * OW times as many weights, and the layer fits only one image
    size. Keras 2 had this layer, Keras 3 removed it.

    Args:
        filters: Outputs at each position.
        kernel_size: Height and width of the window, one number or two.
        strides: Distance between neighbouring windows, one number or two.
        padding: "valid" or "same"; "same" gives ceil(size / strides) positions
            and reads zeros outside the image.
        activation: Name of a Keras activation, or None.
        use_bias: Whether each output at each position has a bias.
        kernel_initializer: Initialiser of the (OH, OW, inputs, filters) kernel. It is
            called with the shape (inputs, OH * OW * filters), so that the fan-in is
            that of one window: choose one that depends only on the fan-in, such as
            he_normal or lecun_uniform.
        kernel_regularizer: Penalty on the kernel, or None.

    Input shape:
        (N, H, W, C) with H, W and C known.

    Output shape:
        (N, OH, OW, filters).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        *,
        strides: int | tuple[int, int] = 1,
        padding: str = "valid",
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "lecun_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if padding not in ("valid", "same"):
            raise ValueError(
                f"The padding must be valid or same. Received: padding={padding}"
            )
        self.filters = filters
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.strides = _pair("strides", strides)
        self.padding = padding
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def build(self, input_shape: Any) -> None:
        """Create the kernel and the bias."""
        _, height, width, channels = input_shape
        if None in (height, width, channels):
            raise ValueError(
                "Each position has separate weights, so the image size must be "
                f"known. Received: input_shape={input_shape}"
            )
        if self.padding == "valid" and (
            height < self.kernel_size[0] or width < self.kernel_size[1]
        ):
            raise ValueError(
                f"The image must not be smaller than the window, {self.kernel_size}. "
                f"Received: input_shape={input_shape}"
            )
        _, *positions, _ = self.compute_output_shape(input_shape)
        window = self.kernel_size[0] * self.kernel_size[1]
        self.kernel = self.add_weight(
            shape=(*positions, window * channels, self.filters),
            initializer=self._initialise,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(*positions, self.filters), initializer="zeros", name="bias"
            )

    def _initialise(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return initial values of the kernel."""
        # Drawn as the kernel of one wide dense layer. Keras would take the axes of
        # positions for a window and multiply the fan-in by OH * OW, which would make
        # the weights too small.
        rows, columns, inputs, filters = shape
        kernel = self.kernel_initializer(
            (inputs, rows * columns * filters), dtype=dtype
        )
        kernel = ops.reshape(kernel, (inputs, rows, columns, filters))
        return ops.transpose(kernel, (1, 2, 0, 3))

    def call(self, inputs: Any) -> Any:
        """Connect the windows at all positions to the outputs."""
        rows, columns = self.kernel.shape[:2]
        (height, width), (down, right) = self.kernel_size, self.strides
        if self.padding == "same":
            border = [_same_padding(*each) for each in self._axes(inputs.shape)]
            inputs = ops.pad(inputs, [(0, 0), *border, (0, 0)])
        # The windows of all positions, (N, OH, OW, inputs), as one slice for each
        # element of the window: slices have gradients and XLA kernels on every device,
        # the extraction of patches has not.
        windows = ops.concatenate(
            [
                inputs[
                    :,
                    y : y + down * (rows - 1) + 1 : down,
                    x : x + right * (columns - 1) + 1 : right,
                ]
                for y in range(height)
                for x in range(width)
            ],
            axis=-1,
        )
        outputs = ops.einsum("nhwi,hwif->nhwf", windows, self.kernel)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (N, OH, OW, filters)."""
        sizes = [
            -(-size // stride)
            if self.padding == "same"
            else (size - window) // stride + 1
            for size, window, stride in self._axes(input_shape)
        ]
        return (input_shape[0], *sizes, self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        own = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
        }
        return {**super().get_config(), **own}

    def _axes(self, shape: Any) -> Any:
        """Return (size, window, stride) of the height and of the width."""
        return zip(shape[1:3], self.kernel_size, self.strides, strict=True)


def _same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Return the numbers of zeros that "same" padding adds before and after."""
    positions = -(-size // stride)
    total = max(0, (positions - 1) * stride + window - size)
    return total // 2, total - total // 2


def _pair(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """Return (value, value) for one number, and two numbers as they are."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(
            f"{name} must be one positive number or two. Received: {name}={value}"
        )
    return pair
