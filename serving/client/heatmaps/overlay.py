"""A heat map laid over its picture.

The picture is shown in dim grey, so that the colour is the heat's alone. The colours
rise evenly in lightness, and are in order for any kind of colour vision; where there
is no heat they are transparent.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

# Stops of matplotlib's "inferno" (Smith, van der Walt, 2015), evenly spaced. Its dark
# end is left out, for there the picture shows.
COLOURS = np.array(
    [
        (0x7F, 0x1E, 0x6C),
        (0xA0, 0x2A, 0x63),
        (0xC0, 0x3A, 0x51),
        (0xDB, 0x50, 0x3B),
        (0xEF, 0x6C, 0x23),
        (0xFA, 0x90, 0x08),
        (0xFB, 0xB8, 0x1D),
        (0xF4, 0xE1, 0x56),
        (0xFC, 0xFF, 0xA4),
    ],
    float,
)
MOST_OPAQUE = 0.85
# White paper under the heat would outshine it.
GREY = 0.7


def overlay(picture: Image.Image, heatmap: np.ndarray) -> Image.Image:
    """Lay a heat map over a picture.

    Args:
        picture: of any size and mode that converts to grey.
        heatmap: float [H, W], 0..1, of any size; it covers the whole picture.

    Returns:
        mode RGB, of the picture's size.
    """
    small = Image.fromarray(np.asarray(heatmap, np.float32))
    smooth = small.resize(picture.size, Image.Resampling.BILINEAR)
    heat = np.clip(np.asarray(smooth), 0, 1)[..., None]
    grey = GREY * np.asarray(picture.convert("L"), float)[..., None]
    opacity = MOST_OPAQUE * heat
    mixed = (1 - opacity) * grey + opacity * colours(heat[..., 0])
    return Image.fromarray(np.round(mixed).astype(np.uint8))


def colours(heat: np.ndarray) -> np.ndarray:
    """The colours of heat, 0..1, of any shape: float [..., 3], 0..255."""
    stops = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(heat, stops, part) for part in COLOURS.T], axis=-1)
