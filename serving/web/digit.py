"""Convert a drawn or photographed digit to an image such as those in MNIST.

LeCun, Bottou, Bengio, Haffner: "Gradient-Based Learning Applied to Document
Recognition", 1998, section III.A: digits were size-normalised to fit in a 20 x 20 box
while preserving their aspect ratio, which gave grey levels by antialiasing, and put
into 28 x 28 so that their centre of mass is the centre. White ink on black.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from fovea.serving.client.errors import BadImage

# Fraction of the image's sides that the digit's box takes: 20 of 28 pixels.
_BOX = 20 / 28
# Values below this, of 255, are no ink but the edge of an antialiased stroke.
_MIN_INK = 16
# Paper in photographs is uneven: smaller differences from it, as a fraction of the
# largest one, are no ink.
_PAPER_TOLERANCE = 0.35


def centre_digit(ink: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Cut out, scale and centre a digit as those of MNIST were.

    Args:
        ink: Image of mode "L" and any size with white ink on black.
        size: Height and width of the result in pixels, 28 x 28 for MNIST.

    Returns:
        Array of type uint8 and shape `size`; the ink touches no side unless its centre
        of mass is far from the middle of its box.

    Raises:
        BadImage: If there is no ink.
    """
    box = ink.point(lambda value: 255 if value >= _MIN_INK else 0).getbbox()
    if box is None:
        raise BadImage("The drawing has no strokes yet: it is empty.")
    digit = ink.crop(box)
    height, width = size
    scale = min(_BOX * height / digit.height, _BOX * width / digit.width)
    digit = digit.resize(
        (max(1, round(digit.width * scale)), max(1, round(digit.height * scale))),
        Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR,
    )
    pixels = np.asarray(digit)
    result = np.zeros(size, np.uint8)
    top = _start(pixels.sum(axis=1), height)
    left = _start(pixels.sum(axis=0), width)
    result[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return result


def ink_of_photo(photo: Image.Image) -> Image.Image:
    """Find the ink in a photograph or scan of one digit on plain paper.

    Args:
        photo: Image of any mode and size with dark ink on bright paper or vice versa.

    Returns:
        Image of mode "L" with white ink on black.

    Raises:
        BadImage: If the image has only one colour.
    """
    grey = np.asarray(photo.convert("L")).astype(np.int16)
    # Most pixels are paper, so the median is.
    difference = np.abs(grey - np.int16(np.median(grey)))
    largest = int(difference.max())
    if largest < _MIN_INK:
        raise BadImage("The image has no digit: it is all of one colour.")
    difference[difference < _PAPER_TOLERANCE * largest] = 0
    return Image.fromarray((difference * 255.0 / largest).astype(np.uint8))


def _start(mass: np.ndarray, size: int) -> int:
    """Return where ink starts if its centre of mass is to be on pixel `size` / 2.

    Counted from 0 that is pixel 14 of 28, as in MNIST's files: half a pixel beyond the
    middle.

    Args:
        mass: Sums of the ink along an axis.
        size: Length of that axis in the result.
    """
    centre = float((mass * np.arange(len(mass))).sum() / mass.sum())
    return min(max(round(size / 2 - centre), 0), size - len(mass))
