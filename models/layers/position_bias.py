"""A bias for each output, and no weights."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fovea")
class PositionBias(keras.layers.Layer):
    """Add a trainable bias to each unit of a vector.

    The last layer of AlphaGo's policy network: one filter shared by all points
    of the board, a bias for each point (Silver et al. 2016, Methods).

    Input shape:
        (N, units).

    Output shape:
        The same.
    """

    def build(self, input_shape: Any) -> None:
        self.bias = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", name="bias"
        )

    def call(self, inputs: Any) -> Any:
        return ops.add(inputs, self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
