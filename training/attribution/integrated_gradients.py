"""Integrated gradients: each pixel's share in a logit, shares that add up."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from fovea.training.attribution import inputs

# Of an explanation that is asked for with the answer.
STEPS = 32


def integrated_gradients(
    model: keras.Model,
    images: np.ndarray,
    class_ids: "Sequence[int] | int | None" = None,
    steps: int = 50,
) -> np.ndarray:
    """Return what every pixel adds to a class's logit, compared with a black image.

    Sundararajan, Taly, Yan: "Axiomatic Attribution for Deep Networks", ICML 2017,
    section 3: the pixel's value times the mean gradient on the straight way from
    the black image to this one. The shares of an image add up to its logit less that of
    the black image (completeness, proposition 1), as closely as `steps` points tell the
    mean; they are taken in the middle of equal parts of the way. What is black in
    the image has no share, wherever the model looks.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (N, H, W, C).
        class_ids: N class ids, one for all, or None for the predicted ones.
        steps: Points on the way.

    Returns:
        float32 (N, H, W, C) in units of the logit, positive where a pixel speaks for
        the class.

    Raises:
        ValueError: If the model does not take such images, has no such class, or
            there is no step.
    """
    share = _sharer(model, steps)
    images, ids = inputs.checked(model, images, class_ids)
    return share(tf.constant(images, tf.float32), tf.constant(ids)).numpy()


def explainer(
    model: keras.Model, steps: int = STEPS
) -> "Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]":
    """Return heat maps as TensorFlow operations, for a graph or for eager calls.

    The heat of a pixel is its share in the class's logit, channels added; what is
    negative is dropped. On digits the shares are those of single pixels, bright beside
    dark ones, so they are averaged over 3x3 pixels (weights 1, 2, 1 either way)
    before they are divided by their largest.

    Args:
        model: A Keras model: uint8 images -> logits.
        steps: See `integrated_gradients`.

    Returns:
        A function of uint8 images (N, H, W, C) and int64 class ids (N,), or None for
        the predicted ones, that gives logits (N, K), the class ids and float32 heat
        (N, H, W), 0..1.

    Raises:
        ValueError: If there is no step.
    """
    graph = inputs.graph(model)
    share = _sharer(model, steps)

    def explain(images: tf.Tensor, class_ids: "tf.Tensor | None" = None):
        pixels = tf.cast(images, tf.float32)
        (logits,) = graph(pixels)
        if class_ids is None:
            class_ids = tf.argmax(logits, axis=1)
        shares = tf.reduce_sum(share(pixels, class_ids), axis=3)
        heat = _smooth(tf.nn.relu(shares))
        largest = tf.reduce_max(heat, axis=(1, 2), keepdims=True)
        return logits, class_ids, tf.math.divide_no_nan(heat, largest)

    return explain


def method(steps: int = STEPS) -> str:
    """Return how `explainer` makes heat maps, for people to read."""
    return f"integrated gradients from a black image, {steps} steps"


def _sharer(
    model: keras.Model, steps: int
) -> "Callable[[tf.Tensor, tf.Tensor], tf.Tensor]":
    """Return the shares as operations: pixels and class ids -> (N, H, W, C).

    All points of all images' ways are one long list, worked off in batches that fit,
    so that memory does not grow with images or steps.
    """
    if steps < 1:
        raise ValueError(f"There must be a step at least. Received: steps={steps}")
    graph = inputs.graph(model)
    size = inputs.batch_size(model)

    def share(pixels: tf.Tensor, class_ids: tf.Tensor) -> tf.Tensor:
        count = tf.shape(pixels)[0]
        points = count * steps

        def more(start: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
            return start < points

        def go_on(start: tf.Tensor, total: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
            point = tf.range(start, tf.minimum(start + size, points))
            image = point // steps
            way = (tf.cast(point % steps, tf.float32) + 0.5) / steps
            here = way[:, None, None, None] * tf.gather(pixels, image)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(here)
                (logits,) = graph(here)
                asked = tf.gather(class_ids, image)
                scores = tf.gather(logits, asked, batch_dims=1)
            gradient = tape.gradient(scores, here, unconnected_gradients="zero")
            sums = tf.math.unsorted_segment_sum(gradient, image, count)
            return start + size, total + sums

        # One batch after another: together they would take the memory of all.
        start = (tf.constant(0), tf.zeros_like(pixels))
        _, total = tf.while_loop(more, go_on, start, parallel_iterations=1)
        return pixels * total / steps

    return share


def _smooth(values: tf.Tensor) -> tf.Tensor:
    """Average (N, H, W) over 3x3 pixels with the weights of a binomial."""
    line = tf.constant([0.25, 0.5, 0.25])
    square = (line[:, None] * line)[..., None, None]
    return tf.nn.conv2d(values[..., None], square, 1, "SAME")[..., 0]
