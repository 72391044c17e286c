"""The signature `feature_maps`: the feature maps of a model's first convolution.

| signature | inputs | outputs |
|---|---|---|
| feature_maps | images uint8 [N,H,W,C] | maps float32 [N,h,w,F], layer string [N] |

F filters give F maps. `layer` is the convolution's name, repeated for each image,
because a server that forms batches splits every output along its first axis.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from fovea.models.anatomy.parts import LayerAnatomy
from fovea.models.anatomy.walk import anatomy

SIGNATURE = "feature_maps"
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "LocallyConnected2D", "SeparableConv2D")
# What may stand between a convolution and its activation.
_BETWEEN = ("BatchNormalization", "Bias", "GroupNormalization", "LayerNormalization")
_ACTIVATIONS = ("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU")


def maps_function(
    model: keras.Model,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]] | None:
    """Return the function behind the signature.

    Args:
        model: A Keras model: uint8 images (N, H, W, C) -> logits.

    Returns:
        A function of images that returns the signature's outputs, in TensorFlow
        operations; None if the model has no convolution.
    """
    layers = first_convolution(model)
    if layers is None:
        return None
    convolution, last = layers
    inner = keras.Model(model.inputs[0], model.get_layer(last).output)

    def maps_of(images: tf.Tensor) -> dict[str, tf.Tensor]:
        maps = tf.cast(inner(images, training=False), tf.float32)
        layer = tf.fill(tf.shape(images)[:1], convolution)
        return {"maps": maps, "layer": layer}

    return maps_of


def first_convolution(model: keras.Model) -> tuple[str, str] | None:
    """Find the first convolution on the path from the images to the logits.

    The convolutions of a spatial transformer only decide where it looks, and do not
    count.

    Returns:
        Its name, and the name of the layer whose output completes it: its activation,
        or itself; None if the model has no convolution.
    """
    parts = anatomy(model)
    convolution = None
    for layer in parts.trunk:
        if layer.kind == "SpatialTransformer":
            convolution = None
        elif convolution is None and layer.kind in CONVOLUTIONS:
            convolution = layer
    if convolution is None:
        return None
    readers: dict[str, list[LayerAnatomy]] = {}
    for layer in parts.layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    last = convolution.name
    while len(readers.get(last, [])) == 1:
        (layer,) = readers[last]
        if layer.kind in _ACTIVATIONS:
            return convolution.name, layer.name
        if layer.kind not in _BETWEEN:
            break
        last = layer.name
    return convolution.name, convolution.name
