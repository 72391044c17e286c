"""Local response normalisation, as in AlexNet."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fovea")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each value by a norm of its neighbours along the channel axis.

    Krizhevsky, Sutskever, Hinton 2012, section 3.3:

        b[c] = a[c] / (k + alpha * sum of a[j]^2 over c - r <= j <= c + r) ^ beta

    with r = size // 2, and j within the channels. The defaults are the paper's. Caffe
    and PyTorch divide alpha by `size` and use k = 1; the paper, and this layer, do
    neither. Computed in float32, because squares overflow float16.

    Args:
        size: Number of neighbouring channels in the sum, odd.
        alpha: Weight of the sum.
        beta: Exponent.
        k: Constant that is added to the sum.

    Input shape:
        (N, H, W, C), or any shape whose last axis is the channels.

    Output shape:
        The same.
    """

    def __init__(
        self,
        size: int = 5,
        *,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(
                f"The size must be odd and at least 1. Received: size={size}"
            )
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def call(self, inputs: Any) -> Any:
        """Normalise the input."""
        x = ops.cast(inputs, "float32")
        radius, channels = self.size // 2, inputs.shape[-1]
        padded = ops.pad(
            ops.square(x), [(0, 0)] * (len(x.shape) - 1) + [(radius, radius)]
        )
        # XLA fuses this sum of shifted copies into one pass over the maps.
        energy = sum(
            padded[..., shift : shift + channels] for shift in range(self.size)
        )
        normalised = x / ops.power(self.k + self.alpha * energy, self.beta)
        return ops.cast(normalised, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output, which is that of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        own = {
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "k": self.k,
        }
        return {**super().get_config(), **own}
