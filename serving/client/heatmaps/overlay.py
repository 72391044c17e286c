"""Draw a heat map over its image.

The image is drawn in dim grey, so that all colour is the heat map's. The colours
increase evenly in lightness, also for colour-blind readers, and are transparent where
the heat map is 0.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

# Evenly spaced stops of matplotlib's "inferno" (Smith, van der Walt, 2015), without its
# dark end, where the image is visible.
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
MAX_OPACITY = 0.85
# White areas of the image would outshine the colours.
GREY = 0.7


def overlay(image: Image.Image, heatmap: np.ndarray) -> Image.Image:
    """Draw a heat map over an image.

    Args:
        image: The image, of any size and any mode that converts to grey.
        heatmap: Float array [H, W] of any size with values 0..1; it covers the whole
            image.

    Returns:
        An image of mode RGB and the same size.
    """
    small = Image.fromarray(np.asarray(heatmap, np.float32))
    smooth = small.resize(image.size, Image.Resampling.BILINEAR)
    heat = np.clip(np.asarray(smooth), 0, 1)[..., None]
    grey = GREY * np.asarray(image.convert("L"), float)[..., None]
    opacity = MAX_OPACITY * heat
    mixed = (1 - opacity) * grey + opacity * colours(heat[..., 0])
    return Image.fromarray(np.round(mixed).astype(np.uint8))


def colours(heat: np.ndarray) -> np.ndarray:
    """Return the colours of values 0..1 of any shape: float [..., 3], 0..255."""
    stops = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(heat, stops, part) for part in COLOURS.T], axis=-1)
