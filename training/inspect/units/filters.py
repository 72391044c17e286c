"""The weights of the first layer, as images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fovea.models.anatomy.parts import Anatomy

if TYPE_CHECKING:
    import keras

# Weights that sum to less than this share of their absolute sum cancel out.
CANCELS = 0.2


@dataclass(frozen=True)
class Filters:
    """The first layer's weights.

    Args:
        layer: Its name.
        weights: float32 (filters, height, width, channels).
        is_convolution: Whether the layer is a convolution; else a filter has the size
            of the image.
        is_whitening: Whether the weights were computed from the training images and
            kept, not learned (`fovea.models.zoo.speednet.whiten`).
    """

    layer: str
    weights: np.ndarray
    is_convolution: bool
    is_whitening: bool

    @property
    def cancelling(self) -> int:
        """Number of filters whose weights cancel: a plain area gives no response."""
        flat = self.weights.reshape(len(self.weights), -1)
        size = np.abs(flat).sum(axis=1)
        return int((np.abs(flat.sum(axis=1)) < CANCELS * size).sum())

    @property
    def colourless(self) -> int:
        """Number of filters with over nine tenths of their energy in brightness.

        The energy of weights for colours is that of their mean, which a grey image
        has as well, plus that of the differences from the mean.
        """
        grey = self.weights.mean(axis=-1, keepdims=True)
        total = (self.weights**2).sum(axis=(1, 2, 3))
        brightness = (grey**2).sum(axis=(1, 2, 3)) * self.weights.shape[-1]
        return int((brightness > 0.9 * total).sum())


def first_layer(model: keras.Model, parts: Anatomy) -> Filters | None:
    """Return the weights of the first layer, if they are filters of pixels.

    Args:
        model: uint8 images -> logits.
        parts: Its anatomy.

    Returns:
        The weights; None if the first layer does not share them over positions, or is
        of a type that has no filters.
    """
    import keras

    first = next((x for x in parts.trunk if x.fully_connected is not None), None)
    if first is None:
        return None
    layer = model.get_layer(first.name)
    channels = parts.input_shape[-1]
    if isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] == channels:
        weights = keras.ops.convert_to_numpy(layer.kernel).transpose(3, 0, 1, 2)
        is_whitening = first.name == "whitening"
        return Filters(first.name, weights, True, is_whitening)
    if isinstance(layer, keras.layers.Dense) and layer.kernel.shape[0] == np.prod(
        parts.input_shape
    ):
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        weights = kernel.T.reshape(-1, *parts.input_shape)
        return Filters(first.name, weights, False, False)
    return None
