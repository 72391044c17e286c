"""A small network with every layer that backpropagation handles, and noise."""

import numpy as np
import pytest

from tests import tensorflow_start

tensorflow_start.start()

import keras  # noqa: E402  (warns unless started that way)

ACTIVATIONS = ("relu", "tanh", "layer", "gelu")


def _activate(x, activation, name):
    if activation == "layer":
        return keras.layers.ReLU(name=name)(x)
    return keras.layers.Activation(activation, name=name)(x)


def build_small(activation="relu"):
    """Two convolutions, one fused with its activation, one not; max pooling."""
    keras.utils.set_random_seed(1)
    images = keras.Input((8, 9, 2), dtype="uint8", name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalisation")(images)
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="a")(x)
    x = _activate(x, activation, "a_act")
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    fused = "relu" if activation == "layer" else activation
    x = keras.layers.Conv2D(3, 3, activation=fused, use_bias=False, name="b")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(images, keras.layers.Dense(3, name="logits")(x), name="small")


@pytest.fixture(scope="session")
def small():
    return {activation: build_small(activation) for activation in ACTIVATIONS}


@pytest.fixture(scope="session")
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 8, 9, 2), np.uint8)
