"""The patches of images that a unit responds to most, cut to its receptive field."""

from dataclasses import dataclass

import numpy as np

from fovea.models.anatomy.parts import LayerAnatomy
from fovea.training.inspect.units.survey import Survey

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Patch:
    """A unit's response to an image.

    Args:
        image: Index of the image among those surveyed.
        row: Row on the unit's map.
        column: Column on the unit's map.
        response: The response.
    """

    image: int
    row: int
    column: int
    response: float


def strongest(found: Survey, unit: int, count: int) -> list[Patch]:
    """Return the images that a unit responds to most, and where on its map.

    Only the largest response to each image counts, so that no image appears twice,
    shifted by a pixel.

    Args:
        found: The survey of the unit's layer.
        unit: Its number.
        count: How many, at most.

    Returns:
        Patches, the largest response first; of equal ones the earlier image.
    """
    order = np.argsort(-found.peaks[:, unit], kind="stable")[:count]
    return [
        Patch(int(i), *found.place(i, unit), float(found.peaks[i, unit])) for i in order
    ]


def field(layer: LayerAnatomy, row: int, column: int, height: int, width: int) -> Box:
    """Return the rectangle of a unit's receptive field, edges of the image ignored.

    All units of a layer have one of the same size: at the image's border it reaches
    into the padding. Along an axis where it is larger than the image, the image
    itself is the limit.

    Args:
        layer: Anatomy of the layer whose output is the response.
        row: Row on the unit's map.
        column: Column on the unit's map.
        height: Height of the image.
        width: Width of the image.

    Returns:
        (y0, y1, x0, x1), for `cut`.
    """
    seen = layer.receptive_field
    if seen is None or seen.jump is None:
        return 0, height, 0, width
    ends: list[int] = []
    for axis, (place, limit) in enumerate(((row, height), (column, width))):
        size = int(np.ceil(seen.size[axis]))
        first = int(np.floor(seen.start[axis] + place * seen.jump[axis]))
        ends += (0, limit) if size >= limit else (first, first + size)
    y0, y1, x0, x1 = ends
    return y0, y1, x0, x1


def seen(layer: LayerAnatomy, row: int, column: int, height: int, width: int) -> Box:
    """Return the box of the pixels that can change a unit's response."""
    if layer.axes is None:  # behind a layer with an unknown receptive field
        return 0, height, 0, width
    return layer.box(row, column)


def cut(image: np.ndarray, rectangle: Box, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Cut a rectangle out of an image, which may reach beyond its edges.

    Args:
        image: (height, width, channels).
        rectangle: (y0, y1, x0, x1) to cut, as `field` returns it.
        box: (y0, y1, x0, x1) that the unit sees, as `seen` returns it.

    Returns:
        (y1 - y0, x1 - x0, channels) with zeros outside the image and the box, and
        bool (y1 - y0, x1 - x0): where it is inside.
    """
    y0, y1, x0, x1 = rectangle
    top, bottom, left, right = box
    piece = np.zeros((y1 - y0, x1 - x0, image.shape[2]), image.dtype)
    inside = np.zeros(piece.shape[:2], bool)
    rows = slice(max(top, y0), min(bottom, y1))
    columns = slice(max(left, x0), min(right, x1))
    target = (
        slice(rows.start - y0, max(rows.stop, rows.start) - y0),
        slice(columns.start - x0, max(columns.stop, columns.start) - x0),
    )
    piece[target] = image[rows, columns]
    inside[target] = True
    return piece, inside
