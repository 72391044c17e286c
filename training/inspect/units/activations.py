"""Properties of activation functions, by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# Never negative, or hardly.
RECTIFIERS = {
    "elu",
    "gelu",
    "hard_silu",
    "leaky_relu",
    "mish",
    "quick_gelu",
    "relu",
    "relu6",
    "selu",
    "silu",
    "softplus",
}
# Never negative either.
ONE_SIDED = RECTIFIERS | {"hard_sigmoid", "sigmoid"}
# Saturating functions, with their limits.
SQUASHING = {
    "hard_sigmoid": (0, 1),
    "sigmoid": (0, 1),
    "softsign": (-1, 1),
    "tanh": (-1, 1),
}


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of an activation function."""
    function = getattr(function, "func", function)  # of a partial
    return getattr(function, "__name__", "")


def of_layer(layer: keras.Layer) -> str:
    """Return the name of a layer's activation function, "linear" without one."""
    import keras

    for layer_class, name in (
        (keras.layers.ReLU, "relu"),
        (keras.layers.LeakyReLU, "leaky_relu"),
        (keras.layers.ELU, "elu"),
    ):
        if isinstance(layer, layer_class):
            return name
    function = getattr(layer, "activation", None)
    return name_of(function) if callable(function) else "linear"
