"""Parameter-free shortcut of the CIFAR ResNets."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fovea")
class IdentityShortcut(keras.layers.Layer):
    """Copy feature maps, with a stride, and append channels of zeros.

    Option A of He et al. 2015, section 3.3: the identity with a stride, and zeros for
    the channels that the input lacks. It has no parameters.

    Args:
        filters: Number of output channels, at least that of the input.
        strides: Distance between the rows, and columns, that are kept.

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
        """Check that there are no more input than output channels."""
        if input_shape[-1] > self.filters:
            raise ValueError(
                "A shortcut cannot drop channels, and its input has "
                f"{input_shape[-1]}. Received: filters={self.filters}"
            )

    def call(self, inputs: Any) -> Any:
        """Subsample the input and append channels of zeros."""
        kept = inputs[:, :: self.strides, :: self.strides]
        missing = self.filters - inputs.shape[-1]
        return ops.pad(kept, [(0, 0), (0, 0), (0, 0), (0, missing)])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (N, ceil(H / strides), ceil(W / strides), filters)."""
        batch, *sizes, _ = input_shape
        sizes = [size and -(-size // self.strides) for size in sizes]
        return (batch, *sizes, self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        own = {"filters": self.filters, "strides": self.strides}
        return {**super().get_config(), **own}
