"""Feature maps: the layer of a model to take them from, and where their units lie."""

import keras
import numpy as np

from fovea.models.anatomy.parts import Anatomy, LayerAnatomy
from fovea.models.anatomy.receptive_field import AxisField
from fovea.models.anatomy.walk import anatomy

CONVOLUTIONS = (
    "Conv2D",
    "Conv2DTranspose",
    "DepthwiseConv2D",
    "LocallyConnected2D",
    "SeparableConv2D",
)
# Maps of fewer units say little more than in which corner something is.
LEAST_UNITS = 4
# Layers that complete a convolution: they leave the units where they are.
FINISHES = (
    "Activation",
    "Add",
    "BatchNormalization",
    "Bias",
    "Concatenate",
    "Dropout",
    "ELU",
    "GroupNormalization",
    "LayerNormalization",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "SpatialDropout2D",
)


def layer_of(model: keras.Model, name: str | None = None) -> LayerAnatomy | None:
    """Return the layer whose feature maps an explanation is computed from.

    Args:
        model: A functional Keras model.
        name: The layer, or None for the last convolution with maps of 4x4 units or
            more (if there is none, with maps larger than 1x1), after the layers that
            complete it: normalisation, activation, the sum at the end of a residual
            block, the concatenation of an inception module.

    Returns:
        The layer; None if `name` is None and the model has no convolution.

    Raises:
        ValueError: If there is no such layer, or it has no maps.
    """
    parts = anatomy(model)
    if name is None:
        return _last(parts)
    layers = [layer for layer in parts.layers if _has_maps(layer) and layer.inputs]
    for layer in layers:
        if layer.name == name:
            return layer
    raise ValueError(
        f"The layers of {parts.name} that have feature maps are "
        f"{', '.join(layer.name for layer in layers) or 'none'}. "
        f"Received: layer={name}"
    )


def _last(parts: Anatomy) -> LayerAnatomy | None:
    readers: dict[str, list[LayerAnatomy]] = {}
    for layer in parts.layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    found = [
        layer
        for layer in parts.trunk
        if layer.kind in CONVOLUTIONS and _has_maps(layer)
    ]
    if not found:
        return None
    large = [x for x in found if min(x.output_shape[:2]) >= LEAST_UNITS]
    last = (large or found)[-1]
    while True:
        following = readers.get(last.name, [])
        if len(following) != 1 or following[0].kind not in FINISHES:
            return last
        if following[0].output_shape[:2] != last.output_shape[:2]:
            return last
        last = following[0]


def _has_maps(layer: LayerAnatomy) -> bool:
    shape = layer.output_shape
    return len(shape) == 3 and shape[:2] != (1, 1)


def enlarging(
    layer: LayerAnatomy, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return two matrices that enlarge a layer's map to the size of the image.

    Between the centres of the units' receptive fields the map is interpolated
    linearly, beyond the outermost it is constant. Stretching a map to the image's
    size instead would shift it: without padding the outermost units look at places
    well inside the image. (Where receptive fields are unknown, as behind a spatial
    transformer, the units are assumed to be evenly spaced.)

    Args:
        layer: A layer with maps (h, w).
        height: The image's height in pixels.
        width: The image's width in pixels.

    Returns:
        rows, float32 (height, h), and columns, float32 (width, w): rows @ map @
        columns.T is the map in the image's size.
    """
    axes = layer.axes or (None, None)
    rows, columns = (
        _interpolation(_centres(axis, units, size), size)
        for axis, units, size in zip(
            axes, layer.output_shape[:2], (height, width), strict=True
        )
    )
    return rows, columns


def _centres(axis: AxisField | None, units: int, size: int) -> np.ndarray:
    """Return the centres of the units' receptive fields, in pixels."""
    place = np.arange(units)
    if axis is None or not axis.jump:
        return (place + 0.5) * size / units - 0.5
    return float(axis.centre) + float(axis.jump) * place


def _interpolation(centres: np.ndarray, size: int) -> np.ndarray:
    pixels = np.arange(size)
    unit = np.eye(len(centres))
    weights = [np.interp(pixels, centres, row) for row in unit]
    return np.stack(weights, axis=1).astype(np.float32)
