"""Lead a unit's response back to the pixels: by gradient, guided, or deconvolution.

All three go back through the network from one unit at one place and differ only in
what an activation does with the signal that comes back:

gradient         times the activation's derivative. Simonyan, Vedaldi, Zisserman,
                 "Deep Inside Convolutional Networks", 2014, section 3.
deconvolution    its positive part. Zeiler, Fergus, "Visualizing and Understanding
                 Convolutional Networks", ECCV 2014, section 2.1.
guided           its positive part, times the activation's derivative. Springenberg,
                 Dosovitskiy, Brox, Riedmiller, "Striving for Simplicity: The All
                 Convolutional Net", 2015, section 3.4.

Everything else is the true gradient. For a convolution that is the transposed one; for
max pooling it puts the signal where the maximum was, Zeiler and Fergus' switches;
normalisation at inference is a factor; where branches meet, each is followed and the
images are added. So all three are defined for any graph, skip connections included.

Rectifiers cut the signal because a map of theirs is never negative, and neither should
what is led back to it be (Zeiler and Fergus). That holds, nearly, for their smooth kin
(GELU, swish) and for sigmoid. For tanh and linear units, whose maps have both signs,
nothing is cut: deconvolution is the transposed weights alone, and guided
backpropagation is the gradient. Layers of other kinds, PReLU among them, pass their
true gradient.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.training.inspect.units import activations

if TYPE_CHECKING:
    import keras

METHODS = ("gradient", "deconvolution", "guided")
BATCH_SIZE = 32


def project(
    model: "keras.Model",
    layer: str,
    images: np.ndarray,
    units: Sequence[int],
    places: "Sequence[tuple[int, int]]",
    method: str,
) -> np.ndarray:
    """Lead the responses of units back to the pixels of images.

    The signal starts with 1 in front of the unit's own activation, so that a unit
    that is saturated or off shows what it looks for as well.

    Args:
        model: A functional model: uint8 images -> anything.
        layer: Name of the layer whose output is the response.
        images: uint8 (n, height, width, channels).
        units: n numbers, one for each image.
        places: n pairs (row, column) on the map; of no matter for a vector.
        method: One of `METHODS`.

    Returns:
        float32 (n, height, width, channels): to be compared within an image; an
        image's scale depends on the depth.

    Raises:
        ValueError: If there is no such method.
    """
    import tensorflow as tf

    part = rewired(model, layer, rule_of(method))
    index = indices(part.output.shape, units, places)
    pixels = images.astype(np.float32)
    led = []
    for first in range(0, len(pixels), BATCH_SIZE):
        batch = tf.constant(pixels[first : first + BATCH_SIZE])
        with tf.GradientTape() as tape:
            tape.watch(batch)
            responses = part(batch, training=False)
            chosen = tf.gather_nd(responses, _from(index, first))
        led.append(tape.gradient(chosen, batch).numpy())
    return np.concatenate(led)


def rule_of(method: str) -> "Callable | None":
    """Return what a method makes of an activation function; None: nothing.

    Raises:
        ValueError: If there is no such method.
    """
    rules = {"gradient": None, "deconvolution": _deconvolution, "guided": _guided}
    if method not in rules:
        raise ValueError(
            f"The method must be one of {', '.join(METHODS)}. Received: method={method}"
        )
    return rules[method]


def rewired(
    model: "keras.Model", layer: str, rule: "Callable | None" = None
) -> "keras.Model":
    """Copy a model up to a layer, for looking back from it.

    Args:
        model: A functional model on uint8 images.
        layer: Name of the layer; the copy gives its output without its activation.
        rule: Turns an activation function into the one to put in its place.

    Returns:
        A model: float32 images, 0 to 255, as they can be differentiated by -> the
        response before its activation.
    """
    import keras

    part = keras.Model(model.inputs[0], model.get_layer(layer).output)
    images = keras.Input(model.input_shape[1:], dtype="float32", name="images")
    copy = keras.models.clone_model(part, input_tensors=images, clone_function=_copy)
    copy.set_weights(part.get_weights())
    for each in _every(copy):
        function = getattr(each, "activation", None)
        if not callable(function):
            continue
        if each.name == layer:
            each.activation = keras.activations.linear
        elif rule is not None:
            each.activation = rule(function)
    return copy


def indices(
    shape: Sequence[Any], units: Sequence[int], places: "Sequence[tuple[int, int]]"
) -> np.ndarray:
    """Return int32 (n, rank): where in a batch of responses each unit's is."""
    rows = [
        (n, *place, unit) if len(shape) == 4 else (n, unit)
        for n, (unit, place) in enumerate(zip(units, places, strict=True))
    ]
    return np.array(rows, np.int32)


def _from(index: np.ndarray, first: int) -> np.ndarray:
    """Return a batch's part of the indices, its images counted from 0 again."""
    part = index[first : first + BATCH_SIZE].copy()
    part[:, 0] -= first
    return part


def _copy(layer: "keras.Layer") -> "keras.Layer":
    """Copy a layer; activations that are layers of their own become functions."""
    import keras

    kind = type(layer)
    function: Callable | None = None
    if kind is keras.layers.ReLU:
        function = partial(
            keras.activations.relu,
            negative_slope=float(layer.negative_slope),
            max_value=layer.max_value,
            threshold=float(layer.threshold),
        )
    elif kind is keras.layers.LeakyReLU:
        function = partial(
            keras.activations.leaky_relu, negative_slope=float(layer.negative_slope)
        )
    elif kind is keras.layers.ELU:
        function = partial(keras.activations.elu, alpha=float(layer.alpha))
    if function is None:
        return kind.from_config(layer.get_config())
    return keras.layers.Activation(function, name=layer.name)


def _every(model: "keras.Model") -> "list[keras.Layer]":
    import keras

    found: list = []
    for layer in model.layers:
        found += _every(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _cuts(function: Callable) -> bool:
    """Return whether an activation function cuts the signal that comes back."""
    return activations.name_of(function) in activations.ONE_SIDED


def _deconvolution(function: Callable) -> Callable:
    import tensorflow as tf

    cuts = _cuts(function)

    @tf.custom_gradient
    def activate(x):
        return function(x), lambda signal: tf.nn.relu(signal) if cuts else signal

    return activate


def _guided(function: Callable) -> Callable:
    import tensorflow as tf

    if not _cuts(function):
        return function

    @tf.custom_gradient
    def activate(x):
        def back(signal):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return tape.gradient(y, x, output_gradients=tf.nn.relu(signal))

        return function(x), back

    return activate
