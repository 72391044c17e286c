"""Which way an exported model explains its answers."""

from collections.abc import Callable

METHODS = ("grad_cam", "integrated_gradients")
# The one that suits the model.
AUTO = "auto"


def chosen(model, method: str = AUTO) -> str:
    """Return the method for a model.

    Of itself it is Grad-CAM, whose heat lies on whole things. Networks without
    convolutions have no maps for it. Images of one channel are mostly digits and
    drawings, light on black: there the maps of an empty background speak as loudly as
    a stroke, while integrated gradients give black pixels no share.

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


def explainer(model, method: str = AUTO) -> "tuple[Callable, str]":
    """Return heat maps as TensorFlow operations, and how they come about in words.

    Args:
        model: See `chosen`, as the next.
        method: One of `METHODS`, or `AUTO`.

    Returns:
        A function of uint8 images (N, H, W, C) and int64 class ids (N,), or None for
        the predicted ones, that gives logits (N, K), the class ids and float32 heat
        (N, H, W), 0..1; and a phrase.

    Raises:
        ValueError: If there is no such method, or the model cannot be explained so.
    """
    from fovea.training.attribution import grad_cam, integrated_gradients

    if chosen(model, method) == "grad_cam":
        return grad_cam.explainer(model), grad_cam.method(model)
    return integrated_gradients.explainer(model), integrated_gradients.method()
