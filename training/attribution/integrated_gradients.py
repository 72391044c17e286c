"""Integrated gradients: attributions of a logit to pixels that add up to it."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from fovea.training.attribution import inputs

# Of an explanation that is computed together with a prediction.
STEPS = 32


def integrated_gradients(
    model: keras.Model,
    images: np.ndarray,
    class_ids: Sequence[int] | int | None = None,
    steps: int = 50,
) -> np.ndarray:
    """Return what each pixel adds to a class's logit, compared with a black image.

    Sundararajan, Taly, Yan: "Axiomatic Attribution for Deep Networks", ICML 2017,
    section 3: the pixel's value times the mean gradient on the straight line from
    the black image to this one. The attributions of an image add up to its logit minus
    that of the black image (completeness, proposition 1), as closely as `steps` points
    approximate the mean; they lie in the middle of equal parts of the line. Black
    pixels have no attribution, wherever the model looks.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (N, H, W, C).
        class_ids: N class ids, one for all, or None for the predicted ones.
        steps: Number of points on the line.

    Returns:
        float32 (N, H, W, C) in units of the logit, positive where a pixel is evidence
        for the class.

    Raises:
        ValueError: If the model does not take such images, has no such class, or
            `steps` is less than 1.
    """
    attribute = _attributor(model, steps)
    images, ids = inputs.checked(model, images, class_ids)
    return attribute(tf.constant(images, tf.float32), tf.constant(ids)).numpy()


def explainer(
    model: keras.Model, steps: int = STEPS
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Return heat maps as TensorFlow operations, for a graph or for eager calls.

    The heat of a pixel is its attribution of the class's logit, summed over channels;
    what is negative is dropped. On digits, bright pixels lie beside dark ones, so
    attributions are averaged over 3x3 pixels (weights 1, 2, 1 along each axis) before
    they are divided by their largest.

    Args:
        model: A Keras model: uint8 images -> logits.
        steps: See `integrated_gradients`.

    Returns:
        A function of uint8 images (N, H, W, C) and int64 class ids (N,), or None for
        the predicted ones, that returns logits (N, K), the class ids and float32 heat
        (N, H, W), 0..1.

    Raises:
        ValueError: If `steps` is less than 1.
    """
    graph = inputs.graph(model)
    attribute = _attributor(model, steps)

    def explain(
        images: tf.Tensor, class_ids: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        pixels = tf.cast(images, tf.float32)
        (logits,) = graph(pixels)
        if class_ids is None:
            class_ids = tf.argmax(logits, axis=1)
        attributions = tf.reduce_sum(attribute(pixels, class_ids), axis=3)
        heat = _smooth(tf.nn.relu(attributions))
        largest = tf.reduce_max(heat, axis=(1, 2), keepdims=True)
        return logits, class_ids, tf.math.divide_no_nan(heat, largest)

    return explain


def method(steps: int = STEPS) -> str:
    """Return a description of how `explainer` computes heat maps."""
    return f"integrated gradients from a black image, {steps} steps"


def _attributor(
    model: keras.Model, steps: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return attributions as operations: pixels and class ids -> (N, H, W, C).

    The points on the lines of all images form one list, which is processed in batches
    of bounded size, so that memory does not grow with images or steps.
    """
    if steps < 1:
        raise ValueError(f"There must be at least one step. Received: steps={steps}")
    graph = inputs.graph(model)
    size = inputs.batch_size(model)

    def attribute(pixels: tf.Tensor, class_ids: tf.Tensor) -> tf.Tensor:
        count = tf.shape(pixels)[0]
        points = count * steps

        def points_left(start: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
            return start < points

        def add_batch(
            start: tf.Tensor, total: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            point = tf.range(start, tf.minimum(start + size, points))
            image = point // steps
            position = (tf.cast(point % steps, tf.float32) + 0.5) / steps
            scaled = position[:, None, None, None] * tf.gather(pixels, image)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(scaled)
                (logits,) = graph(scaled)
                ids = tf.gather(class_ids, image)
                scores = tf.gather(logits, ids, batch_dims=1)
            gradient = tape.gradient(scores, scaled, unconnected_gradients="zero")
            sums = tf.math.unsorted_segment_sum(gradient, image, count)
            return start + size, total + sums

        # One batch at a time: parallel iterations would add up their memory.
        start = (tf.constant(0), tf.zeros_like(pixels))
        _, total = tf.while_loop(points_left, add_batch, start, parallel_iterations=1)
        return pixels * total / steps

    return attribute


def _smooth(values: tf.Tensor) -> tf.Tensor:
    """Average (N, H, W) over 3x3 pixels with binomial weights."""
    line = tf.constant([0.25, 0.5, 0.25])
    square = (line[:, None] * line)[..., None, None]
    return tf.nn.conv2d(values[..., None], square, 1, "SAME")[..., 0]
