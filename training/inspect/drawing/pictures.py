"""Arrays as pictures: images, signed maps, overlays and montages.

Pictures have an alpha channel, so that one picture serves light and dark pages. Signed
values have the plots' two colours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fovea.training.rendering.figures import BLUE, ORANGE

GAP = 1  # pixels between the tiles of a montage


def pixels(image: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Return an image as RGBA.

    Args:
        image: Values 0 to 255 (height, width, channels); with other numbers of
            channels than 1 and 3 their mean is shown.
        inside: bool (height, width): where it is visible.

    Returns:
        uint8 (height, width, 4).
    """
    if image.shape[-1] not in (1, 3):
        image = image.mean(axis=-1, keepdims=True)
    colours = np.broadcast_to(np.clip(np.round(image), 0, 255), (*image.shape[:2], 3))
    alpha = np.full(image.shape[:2], 255.0) if inside is None else 255.0 * inside
    return np.dstack([colours, alpha]).astype(np.uint8)


def signed(values: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Return a map as RGBA: orange above 0, blue below, clear at 0.

    Args:
        values: (height, width).
        largest: Absolute value that is drawn fully opaque; default: the largest.

    Returns:
        uint8 (height, width, 4).
    """
    largest = float(np.abs(values).max()) if largest is None else largest
    strength = np.clip(np.abs(values) / (largest or 1.0), 0, 1)
    colours = np.where((values > 0)[..., None], _rgb(ORANGE), _rgb(BLUE))
    return np.dstack([colours, np.round(255 * strength)]).astype(np.uint8)


def signed_image(
    values: np.ndarray,
    inside: np.ndarray | None = None,
    share: float = 1.0,
) -> np.ndarray:
    """Return signed values for each channel of an image as RGBA.

    With three channels they are shown as a colour around grey, otherwise as `signed`
    shows their sum.

    Args:
        values: (height, width, channels).
        inside: bool (height, width): where they are visible.
        share: Quantile of the absolute values that is drawn at full strength: the few
            largest may be clipped so that the others are visible.

    Returns:
        uint8 (height, width, 4).
    """
    if values.shape[-1] != 3:
        values = values.sum(axis=-1, keepdims=True)
    inner = np.abs(values if inside is None else values[inside])
    largest = float(np.quantile(inner, share)) if inner.size else 0.0
    largest = largest or float(inner.max(initial=0))
    if values.shape[-1] != 3:
        drawn = signed(values[..., 0], largest)
        if inside is not None:
            drawn[~inside] = 0
        return drawn
    return pixels(127.5 + 127.5 * values / (largest or 1.0), inside)


def overlay(image: np.ndarray, values: np.ndarray, share: float = 0.99) -> np.ndarray:
    """Overlay a pale grey image with a signed map.

    Args:
        image: Values 0 to 255 (height, width, channels).
        values: (height, width); orange above 0, blue below.
        share: Quantile of the absolute values that is drawn at full strength.

    Returns:
        uint8 (height, width, 4).
    """
    largest = float(np.quantile(np.abs(values), share)) or float(np.abs(values).max())
    painted = signed(values, largest).astype(np.float64)
    opacity = 0.9 * painted[..., 3:] / 255
    grey = 96 + 0.45 * image.mean(axis=-1, keepdims=True)
    colours = (1 - opacity) * grey + opacity * painted[..., :3]
    return pixels(colours)


def montage(tiles: list[np.ndarray], columns: int, gap: int = GAP) -> np.ndarray:
    """Arrange pictures of one size in rows.

    Args:
        tiles: uint8 (height, width, 4) each.
        columns: Pictures in a row.
        gap: Clear pixels between pictures.

    Returns:
        uint8 (rows, columns, 4).
    """
    height, width = tiles[0].shape[:2]
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8
    )
    for place, tile in enumerate(tiles):
        y, x = place // columns * (height + gap), place % columns * (width + gap)
        sheet[y : y + height, x : x + width] = tile
    return sheet


def enlarge(picture: np.ndarray, side: int) -> np.ndarray:
    """Repeat pixels, a whole number of times, until a side has about this length."""
    times = max(1, round(side / max(picture.shape[:2])))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def fit(picture: np.ndarray, side: int) -> np.ndarray:
    """Resize a picture, without smoothing, until its longer side has this length."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    rows, columns = (
        np.arange(max(1, size * side // longer)) * longer // side
        for size in (height, width)
    )
    return picture[np.minimum(rows, height - 1)][:, np.minimum(columns, width - 1)]


def save(picture: np.ndarray, path: Path) -> None:
    """Write RGBA as a PNG file.

    Raises:
        OSError: If it cannot be written.
    """
    from PIL import Image

    Image.fromarray(picture).save(path, optimize=True)


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
