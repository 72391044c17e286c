"""Parameter-free shortcut of the CIFAR ResNets."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fovea")
class IdentityShortcut(keras.layers.Layer):
    """Pass maps on; where they get smaller and more, drop pixels and add zeros.

    Option A of He et al. 2015, section 3.3: identity with stride, and zeros for
    the maps that the input has not. No parameters.

    Args:
        filters: Number of maps to give, at least the input's.
        strides: Every how manieth row and column is kept.

    Input shape:
        (N, H, W, C).

    Output shape:
        (N, ceil(H / strides), ceil(W / strides), filters).
    """

    def __init__(self, filters: int, *, strides: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.strides = strides

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] > self.filters:
            raise ValueError(
                f"A shortcut cannot drop maps, and it is given {input_shape[-1]}. "
                f"Received: filters={self.filters}"
            )

    def call(self, inputs: Any) -> Any:
        kept = inputs[:, :: self.strides, :: self.strides]
        missing = self.filters - inputs.shape[-1]
        return ops.pad(kept, [(0, 0), (0, 0), (0, 0), (0, missing)])

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *sizes, _ = input_shape
        sizes = [size and -(-size // self.strides) for size in sizes]
        return (batch, *sizes, self.filters)

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "strides": self.strides}
        return {**super().get_config(), **own}
