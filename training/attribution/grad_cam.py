"""Grad-CAM: where in an image the evidence for a class lies."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from fovea.models.anatomy.parts import LayerAnatomy
from fovea.training.attribution import inputs, maps


def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    class_ids: Sequence[int] | int | None = None,
    layer: str | None = None,
) -> np.ndarray:
    """Return a heat map for each image: where the evidence for a class lies.

    Selvaraju et al.: "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", ICCV 2017, section 3. The maps of a convolution
    are added, each weighted by the spatial mean of the gradient of the class's logit
    with respect to it (equation 1); what is negative is dropped (equation 2). The
    sum is laid over the image bilinearly, each unit at the centre of its receptive
    field, and divided by its largest value.

    The maps of a ReLU are zero where a feature is absent. Those of a tanh, or before
    the activation, are not, so that an empty background counts as evidence for or
    against a class as well, on digits above all; `occlusion` and
    `integrated_gradients` then show more. Behind a spatial transformer
    (models/zoo/stn.py) the heat is that of the image after the transformation.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (N, H, W, C).
        class_ids: N class ids, one for all, or None for the predicted ones.
        layer: Name of a layer with feature maps. Default: the last convolution with
            maps of 4x4 units or more, after its activation; see `maps.layer_of`.

    Returns:
        float32 (N, H, W), 0..1. The largest value of an image is 1, or 0 if it
        holds no evidence for the class.

    Raises:
        ValueError: If the model does not take such images, has no such class or
            layer, or no convolution at all.

    Example:
    ```python
    model = load_model(Path("runs/lenet5"))
    heat = grad_cam(model, images)  # evidence for the predicted classes
    heat = grad_cam(model, images, 7)  # evidence for class 7
    ```
    """
    explain = explainer(model, layer)
    images, ids = inputs.checked(model, images, class_ids)
    heat = np.zeros(images.shape[:3], np.float32)
    for part in inputs.parts(model, images):
        *_, heat[part] = explain(tf.constant(images[part]), tf.constant(ids[part]))
    return heat


def method(model: keras.Model, layer: str | None = None) -> str:
    """Return a description of how `grad_cam` computes a model's heat maps.

    Raises:
        ValueError: If there is no such layer, or it has no maps.
    """
    return f"Grad-CAM on the maps of {_layer_of(model, layer).name}"


def _layer_of(model: keras.Model, name: str | None) -> LayerAnatomy:
    layer = maps.layer_of(model, name)
    if layer is None:
        raise ValueError(
            "Grad-CAM needs the feature maps of a convolution; integrated_gradients "
            "and occlusion explain networks without one. "
            f"Received: {model.name}, which has no convolution"
        )
    return layer


def explainer(
    model: keras.Model, layer: str | None = None
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Return `grad_cam` as TensorFlow operations, for a graph or for eager calls.

    Args:
        model: A Keras model: uint8 images -> logits.
        layer: See `grad_cam`.

    Returns:
        A function of uint8 images (N, H, W, C) and int64 class ids (N,), or None for
        the predicted ones, that returns logits (N, K), the class ids and float32 heat
        (N, H, W), 0..1.

    Raises:
        ValueError: If there is no such layer, or it has no maps.
    """
    chosen = _layer_of(model, layer)
    height, width = model.input_shape[1:3]
    graph = inputs.graph(model, [chosen.name])
    rows, columns = maps.enlarging(chosen, height, width)

    def explain(
        images: tf.Tensor, class_ids: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        pixels = tf.cast(images, tf.float32)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            values, logits = graph(pixels)
            if class_ids is None:
                class_ids = tf.argmax(logits, axis=1)
            scores = tf.gather(logits, class_ids, batch_dims=1)
        gradient = tape.gradient(scores, values, unconnected_gradients="zero")
        weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        heat = tf.nn.relu(tf.reduce_sum(weights * values, axis=3))
        heat = tf.einsum("yh,nhw,xw->nyx", rows, heat, columns)
        largest = tf.reduce_max(heat, axis=(1, 2), keepdims=True)
        return logits, class_ids, tf.math.divide_no_nan(heat, largest)

    return explain
