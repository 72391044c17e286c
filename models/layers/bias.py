"""A layer that adds a trainable bias and nothing else."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fovea")
class Bias(keras.layers.Layer):
    """Add a trainable bias along the last axis.

    It is the last layer of AlphaGo's policy network, in which all points of the board
    share one filter but have separate biases (Silver et al. 2016, Methods), and it
    follows frozen filters with a trainable bias (Jordan 2024, section 3.2).

    Args:
        bias_initializer: Initialiser of the bias.

    Input shape:
        (N, ..., units).

    Output shape:
        The same.
    """

    def __init__(self, bias_initializer: Any = "zeros", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Any) -> None:
        """Create the bias."""
        self.bias = self.add_weight(
            shape=(input_shape[-1],), initializer=self.bias_initializer, name="bias"
        )

    def call(self, inputs: Any) -> Any:
        """Add the bias."""
        return ops.add(inputs, self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output, which is that of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        initializer = keras.initializers.serialize(self.bias_initializer)
        return {**super().get_config(), "bias_initializer": initializer}
