"""Backpropagate a unit's response to the pixels: gradient, deconvolution, guided.

All three backpropagate through the network from one unit at one position and differ
only in what an activation does with the signal:

gradient         times the activation's derivative. Simonyan, Vedaldi, Zisserman,
                 "Deep Inside Convolutional Networks", 2014, section 3.
deconvolution    its positive part. Zeiler, Fergus, "Visualizing and Understanding
                 Convolutional Networks", ECCV 2014, section 2.1.
guided           its positive part, times the activation's derivative. Springenberg,
                 Dosovitskiy, Brox, Riedmiller, "Striving for Simplicity: The All
                 Convolutional Net", 2015, section 3.4.

Everything else is the true gradient. For a convolution that is the transposed one; for
max pooling it passes the signal to the maximum, Zeiler and Fergus' switches;
normalisation at inference is a factor; where branches meet, each is followed and the
images are added. So all three are defined for any graph, skip connections included.

Rectifiers rectify the signal because their maps are never negative, and neither should
be the signal that reaches them (Zeiler and Fergus). That holds approximately for their
smooth variants (GELU, swish) and for sigmoid. For tanh and linear units, whose maps
have both signs, the signal is not rectified: deconvolution is the transposed weights
alone, and guided backpropagation is the gradient. Layers of other types, PReLU among
them, pass their true gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fovea.training.inspect.units import activations

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Tensor -> tensor.
Activation: TypeAlias = Callable[[Any], Any]
# An activation function -> its replacement.
Rule: TypeAlias = Callable[[Activation], Activation]

METHODS = ("gradient", "deconvolution", "guided")
BATCH_SIZE = 32


def backpropagate(
    model: keras.Model,
    layer: str,
    images: np.ndarray,
    units: Sequence[int],
    places: Sequence[tuple[int, int]],
    method: str,
) -> np.ndarray:
    """Backpropagate the responses of units to the pixels of images.

    The signal starts with 1 before the unit's own activation, so that units that are
    saturated or off have one as well.

    Args:
        model: A functional model: uint8 images -> anything.
        layer: Name of the layer whose output is the response.
        images: uint8 (n, height, width, channels).
        units: n numbers of units, one for each image.
        places: n pairs (row, column) on the map; not used for a vector.
        method: One of `METHODS`.

    Returns:
        float32 (n, height, width, channels). Values are comparable within an image
        only; the scale depends on the depth.

    Raises:
        ValueError: If there is no such method.
    """
    import tensorflow as tf

    part = rewired(model, layer, rule_of(method))
    index = indices(part.output.shape, units, places)
    pixels = images.astype(np.float32)
    signals = []
    for first in range(0, len(pixels), BATCH_SIZE):
        batch = tf.constant(pixels[first : first + BATCH_SIZE])
        with tf.GradientTape() as tape:
            tape.watch(batch)
            responses = part(batch, training=False)
            chosen = tf.gather_nd(responses, _from(index, first))
        signals.append(tape.gradient(chosen, batch).numpy())
    return np.concatenate(signals)


def rule_of(method: str) -> Rule | None:
    """Return the rule of a method: what replaces an activation; None: nothing does.

    Raises:
        ValueError: If there is no such method.
    """
    rules = {"gradient": None, "deconvolution": _deconvolution, "guided": _guided}
    if method not in rules:
        raise ValueError(
            f"The method must be one of {', '.join(METHODS)}. Received: method={method}"
        )
    return rules[method]


def rewired(model: keras.Model, layer: str, rule: Rule | None = None) -> keras.Model:
    """Copy a model up to a layer, for backpropagation from it.

    Args:
        model: A functional model on uint8 images.
        layer: Name of the layer; the copy returns its output without its activation.
        rule: Returns the replacement of an activation function.

    Returns:
        A model: float32 images, 0 to 255, which can be differentiated by -> the
        response before its activation.
    """
    import keras

    part = keras.Model(model.inputs[0], model.get_layer(layer).output)
    images = keras.Input(model.input_shape[1:], dtype="float32", name="images")
    copy = keras.models.clone_model(part, input_tensors=images, clone_function=_copy)
    copy.set_weights(part.get_weights())
    for each in _flat_layers(copy):
        function = getattr(each, "activation", None)
        if not callable(function):
            continue
        if each.name == layer:
            each.activation = keras.activations.linear
        elif rule is not None:
            each.activation = rule(function)
    return copy


def indices(
    shape: Sequence[Any], units: Sequence[int], places: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Return int32 (n, rank): the index of each unit in a batch of responses."""
    rows = [
        (n, *place, unit) if len(shape) == 4 else (n, unit)
        for n, (unit, place) in enumerate(zip(units, places, strict=True))
    ]
    return np.array(rows, np.int32)


def _from(index: np.ndarray, first: int) -> np.ndarray:
    """Return the indices of a batch, with its images counted from 0."""
    part = index[first : first + BATCH_SIZE].copy()
    part[:, 0] -= first
    return part


def _copy(layer: keras.Layer) -> keras.Layer:
    """Copy a layer; activation layers become `Activation` of a function."""
    import keras

    layer_class = type(layer)
    function: Activation | None = None
    if layer_class is keras.layers.ReLU:
        function = partial(
            keras.activations.relu,
            negative_slope=float(layer.negative_slope),
            max_value=layer.max_value,
            threshold=float(layer.threshold),
        )
    elif layer_class is keras.layers.LeakyReLU:
        function = partial(
            keras.activations.leaky_relu, negative_slope=float(layer.negative_slope)
        )
    elif layer_class is keras.layers.ELU:
        function = partial(keras.activations.elu, alpha=float(layer.alpha))
    if function is None:
        return layer_class.from_config(layer.get_config())
    return keras.layers.Activation(function, name=layer.name)


def _flat_layers(model: keras.Model) -> list[keras.Layer]:
    import keras

    found: list[keras.Layer] = []
    for layer in model.layers:
        found += _flat_layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _is_rectified(function: Activation) -> bool:
    """Return whether the signal is rectified at an activation function."""
    return activations.name_of(function) in activations.ONE_SIDED


def _deconvolution(function: Activation) -> Activation:
    import tensorflow as tf

    rectified = _is_rectified(function)

    @tf.custom_gradient
    def activate(x: tf.Tensor) -> tuple[tf.Tensor, Activation]:
        return function(x), lambda signal: tf.nn.relu(signal) if rectified else signal

    return activate


def _guided(function: Activation) -> Activation:
    import tensorflow as tf

    if not _is_rectified(function):
        return function

    @tf.custom_gradient
    def activate(x: tf.Tensor) -> tuple[tf.Tensor, Activation]:
        def backpropagate(signal: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return tape.gradient(y, x, output_gradients=tf.nn.relu(signal))

        return function(x), backpropagate

    return activate
