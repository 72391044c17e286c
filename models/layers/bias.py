"""A bias for each channel or unit, and no weights."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="fovea")
class Bias(keras.layers.Layer):
    """Add a trainable bias along the last axis.

    The last layer of AlphaGo's policy network: one filter shared by all points of
    the board, a bias for each point (Silver et al. 2016, Methods). And what follows
    filters that are not trained, but are to have a threshold that is (Jordan 2024,
    section 3.2).

    Args:
        bias_initializer: How the bias starts.

    Input shape:
        (N, ..., units).

    Output shape:
        The same.
    """

    def __init__(self, bias_initializer: Any = "zeros", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Any) -> None:
        self.bias = self.add_weight(
            shape=(input_shape[-1],), initializer=self.bias_initializer, name="bias"
        )

    def call(self, inputs: Any) -> Any:
        return ops.add(inputs, self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        start = keras.initializers.serialize(self.bias_initializer)
        return {**super().get_config(), "bias_initializer": start}
