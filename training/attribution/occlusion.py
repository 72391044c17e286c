"""Occlusion: how much less sure a network is when a part of the image is hidden."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from fovea.training.attribution import inputs


def occlusion(
    model: keras.Model,
    images: np.ndarray,
    class_ids: "Sequence[int] | int | None" = None,
    size: "int | None" = None,
    stride: "int | None" = None,
) -> np.ndarray:
    """Return how far a class's probability falls when what is here is hidden.

    Zeiler, Fergus: "Visualizing and Understanding Convolutional Networks", ECCV
    2014, section 4.2: a square is moved over the image, and the model asked each
    time. They paint it grey, which is the mean of their images; here it has the
    image's mean colour. A pixel's value is the mean over the squares that hide it.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (N, H, W, C).
        class_ids: N class ids, one for all, or None for the predicted ones.
        size: Side of the square in pixels. Default: a quarter of the image's
            shorter side.
        stride: Pixels from one place of the square to the next; the last place lies
            at the edge all the same. Default: a third of `size`.

    Returns:
        float32 (N, H, W), -1..1: positive where the class loses by the hiding.

    Raises:
        ValueError: If the model does not take such images, has no such class, or
            the square does not fit the image.
    """
    images, ids = inputs.checked(model, images, class_ids)
    height, width = images.shape[1:3]
    size = max(1, min(height, width) // 4) if size is None else size
    stride = max(1, size // 3) if stride is None else stride
    if not (1 <= size <= min(height, width) and 1 <= stride <= size):
        raise ValueError(
            f"The square is 1 to {min(height, width)} pixels wide, and moved by 1 to "
            "its own width, so that it hides every pixel once. "
            f"Received: size={size}, stride={stride}"
        )
    corners = [
        (y, x)
        for y in _places(height, size, stride)
        for x in _places(width, size, stride)
    ]
    means = np.round(images.mean(axis=(1, 2))).astype(np.uint8)
    # The first view of an image is the image itself.
    views = len(corners) + 1
    asked = np.arange(len(images) * views)
    probability = np.zeros(len(asked))
    for part in inputs.parts(model, asked):
        hidden = images[asked[part] // views]  # a copy
        for row, number in zip(hidden, asked[part], strict=True):
            image, view = divmod(int(number), views)
            if view:
                y, x = corners[view - 1]
                row[y : y + size, x : x + size] = means[image]
        found = tf.nn.softmax(model(hidden, training=False)).numpy()
        rows = np.arange(len(hidden))
        probability[part] = found[rows, ids[asked[part] // views]]
    probability = probability.reshape(len(images), views)
    fall = probability[:, :1] - probability[:, 1:]
    total, covers = np.zeros(images.shape[:3]), np.zeros((height, width))
    for place, (y, x) in enumerate(corners):
        total[:, y : y + size, x : x + size] += fall[:, place, None, None]
        covers[y : y + size, x : x + size] += 1
    return (total / covers).astype(np.float32)


def _places(length: int, size: int, stride: int) -> list[int]:
    """Return where the square begins along an axis, so that it reaches both ends."""
    last = length - size
    return sorted({*range(0, last, stride), last})
