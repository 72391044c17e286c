"""The choice of the method by which an exported model explains its predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

METHODS = ("grad_cam", "integrated_gradients")
# The method that suits the model.
AUTO = "auto"


def chosen(model: keras.Model, method: str = AUTO) -> str:
    """Return the method for a model.

    By default it is Grad-CAM, whose heat lies on whole objects. Networks without
    convolutions have no maps for it. Images of one channel are mostly digits and
    drawings, light on black: there the maps of the empty background are as active as
    those of a stroke, while integrated gradients attribute nothing to black pixels.

    Args:
        model: A Keras model: uint8 images (N, H, W, C) -> logits.
        method: One of `METHODS`, or `AUTO`.

    Returns:
        One of `METHODS`.

    Raises:
        ValueError: If there is no such method.
    """
    from fovea.training.attribution import maps

    if method not in (AUTO, *METHODS):
        raise ValueError(
            f"The methods are {', '.join((AUTO, *METHODS))}. Received: {method}"
        )
    if method != AUTO:
        return method
    if model.input_shape[-1] == 1 or maps.layer_of(model) is None:
        return "integrated_gradients"
    return "grad_cam"


def explainer(
    model: keras.Model, method: str = AUTO
) -> tuple[Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]], str]:
    """Return heat maps as TensorFlow operations, and a description of the method.

    Args:
        model: A Keras model: uint8 images (N, H, W, C) -> logits.
        method: One of `METHODS`, or `AUTO`; see `chosen`.

    Returns:
        A function of uint8 images (N, H, W, C) and int64 class ids (N,), or None for
        the predicted ones, that returns logits (N, K), the class ids and float32 heat
        (N, H, W), 0..1; and a phrase that describes the method.

    Raises:
        ValueError: If there is no such method, or it does not suit the model.
    """
    from fovea.training.attribution import grad_cam, integrated_gradients

    if chosen(model, method) == "grad_cam":
        return grad_cam.explainer(model), grad_cam.method(model)
    return integrated_gradients.explainer(model), integrated_gradients.method()
