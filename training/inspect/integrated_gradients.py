"""Integrated gradients: each pixel's share in a logit, shares that add up."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from training.inspect import questions


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
    if steps < 1:
        raise ValueError(f"There must be a step at least. Received: steps={steps}")
    images, ids = questions.checked(model, images, class_ids)
    graph = questions.graph(model)
    total = np.zeros(images.shape, np.float64)
    # Every point of every image's way, many to a batch whosever they are.
    points = np.arange(len(images) * steps)
    for part in questions.parts(model, points):
        image, step = np.divmod(points[part], steps)
        share = ((step + 0.5) / steps).astype(np.float32)[:, None, None, None]
        pixels = tf.constant(share * images[image])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            scores = tf.gather(graph(pixels)[-1], ids[image], batch_dims=1)
        np.add.at(total, image, tape.gradient(scores, pixels).numpy())
    return (images * total / steps).astype(np.float32)
