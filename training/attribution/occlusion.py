"""Occlusion: how far a class's probability falls when part of the image is hidden."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from fovea.training.attribution import inputs


def occlusion(
    model: keras.Model,
    images: np.ndarray,
    class_ids: Sequence[int] | int | None = None,
    size: int | None = None,
    stride: int | None = None,
) -> np.ndarray:
    """Return how far a class's probability falls when a pixel is hidden.

    Zeiler, Fergus: "Visualizing and Understanding Convolutional Networks", ECCV
    2014, section 4.2: a square is moved over the image, and the model predicts each
    time. They paint it grey, the mean of their images; here it has the image's mean
    colour. A pixel's value is the mean over the squares that hide it.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (N, H, W, C).
        class_ids: N class ids, one for all, or None for the predicted ones.
        size: Side of the square in pixels. Default: a quarter of the image's
            shorter side.
        stride: Pixels from one position of the square to the next; the last position
            is always at the edge. Default: a third of `size`.

    Returns:
        float32 (N, H, W), -1..1: positive where hiding lowers the probability.

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
    numbers = np.arange(len(images) * views)
    probability = np.zeros(len(numbers))
    for part in inputs.parts(model, numbers):
        hidden = images[numbers[part] // views]  # a copy
        for row, number in zip(hidden, numbers[part], strict=True):
            image, view = divmod(int(number), views)
            if view:
                y, x = corners[view - 1]
                row[y : y + size, x : x + size] = means[image]
        predicted = tf.nn.softmax(model(hidden, training=False)).numpy()
        rows = np.arange(len(hidden))
        probability[part] = predicted[rows, ids[numbers[part] // views]]
    of_images = probability.reshape(len(images), views)
    fall = of_images[:, :1] - of_images[:, 1:]
    total, covers = np.zeros(images.shape[:3]), np.zeros((height, width))
    for place, (y, x) in enumerate(corners):
        total[:, y : y + size, x : x + size] += fall[:, place, None, None]
        covers[y : y + size, x : x + size] += 1
    return (total / covers).astype(np.float32)


def _places(length: int, size: int, stride: int) -> list[int]:
    """Return the square's positions along an axis, which reach both ends."""
    last = length - size
    return sorted({*range(0, last, stride), last})
