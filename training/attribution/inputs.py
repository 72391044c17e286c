"""The inputs of every attribution method: images, classes, a graph on float pixels."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from fovea.models.anatomy.walk import anatomy

# Memory that the maps of a batch may take, forwards and backwards together.
MOST_BYTES = 2**28
MOST_IMAGES = 256


def graph(model: keras.Model, layers: Sequence[str] = ()) -> keras.Function:
    """Return a model's own layers as a function that has a gradient in the pixels.

    A model takes uint8, and Keras casts its input to that, which has no gradient. A
    `keras.Function` over the same layers takes its input unchanged, and the model's
    first layer scales float pixels as it scales integers.

    Args:
        model: A Keras model: uint8 images -> logits.
        layers: Names of layers whose outputs are returned as well.

    Returns:
        A function: float32 pixels (N, H, W, C), 0..255 -> a list of the layers'
        outputs followed by the logits, as in inference.
    """
    outputs = [model.get_layer(name).output for name in layers]
    return keras.Function(model.inputs[0], [*outputs, model.outputs[0]])


def checked(
    model: keras.Model, images: np.ndarray, class_ids: Sequence[int] | int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return checked images and the class to explain for each, as arrays.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (N, H, W, C).
        class_ids: N class ids, one for all, or None for the predicted ones.

    Returns:
        The images, and int64 (N,) class ids.

    Raises:
        ValueError: If the model does not take such images or has no such class.
    """
    images = np.asarray(images)
    shape = tuple(model.input_shape[1:])
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != shape:
        raise ValueError(
            f"{model.name} takes uint8 images of shape (N, "
            f"{', '.join(map(str, shape))}). "
            f"Received: {images.dtype} of shape {images.shape}"
        )
    classes = model.output_shape[-1]
    if class_ids is None:
        logits = [model(images[part], training=False) for part in parts(model, images)]
        found = [keras.ops.convert_to_numpy(part).argmax(axis=1) for part in logits]
        return images, np.concatenate([np.zeros(0, np.int64), *found])
    ids = np.asarray(class_ids)
    if ids.shape not in ((), (len(images),)) or not np.issubdtype(
        ids.dtype, np.integer
    ):
        raise ValueError(
            "The classes to explain are one class id for each image, or one for all. "
            f"Received: class_ids={class_ids} for {len(images)} images"
        )
    if ids.size and (ids.min() < 0 or ids.max() >= classes):
        raise ValueError(
            f"The class ids of {model.name} are 0 to {classes - 1}. "
            f"Received: class_ids={class_ids}"
        )
    return images, np.broadcast_to(ids, len(images)).astype(np.int64)


def parts(
    model: keras.Model, items: Sequence[Any] | np.ndarray | range
) -> Iterator[slice]:
    """Yield slices of a sequence, each as long as a model's largest batch.

    All maps of a batch, with their gradients, take at most `MOST_BYTES`.
    """
    size = batch_size(model)
    for start in range(0, len(items), size):
        yield slice(start, start + size)


def batch_size(model: keras.Model) -> int:
    """Return how many images fit into a forward and backward pass at once."""
    bytes_each = 2 * anatomy(model).output_bytes
    return int(np.clip(MOST_BYTES // bytes_each, 1, MOST_IMAGES))
