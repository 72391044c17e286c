"""A drawn or photographed digit -> the picture that a model of MNIST knows.

LeCun, Bottou, Bengio, Haffner: "Gradient-Based Learning Applied to Document
Recognition", 1998, section III.A: digits were size-normalised to fit in a 20 x 20 box
while preserving their aspect ratio, which gave grey levels by antialiasing, and put
into 28 x 28 so that their centre of mass is the centre. White ink on black.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from fovea.serving.client.errors import BadImage

# The share of a picture's sides that the digit's box takes: 20 of 28 pixels.
_BOX = 20 / 28
# Fainter than this, of 255, is no ink: the rim of an antialiased stroke.
_FAINTEST = 16
# A photograph's paper is never even; what differs less from it is no ink, as a share
# of the strongest difference.
_PAPER = 0.35


def centre_digit(ink: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Cut out, scale and centre a digit as MNIST's were.

    Args:
        ink: grey picture of any size, mode "L", white ink on black.
        size: (height, width) of the result, 28 x 28 for MNIST.

    Returns:
        uint8 of shape `size`; ink touches no side unless its mass is far off centre.

    Raises:
        BadImage: if there is no ink.
    """
    box = ink.point(lambda value: 255 if value >= _FAINTEST else 0).getbbox()
    if box is None:
        raise BadImage("There is nothing on the picture yet: it is empty.")
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
    """Find the ink on a photograph or scan of one digit on plain paper.

    Args:
        photo: of any mode and size; dark ink on bright paper or the other way.

    Returns:
        mode "L", white ink on black, paper black.

    Raises:
        BadImage: if the picture is of one colour.
    """
    grey = np.asarray(photo.convert("L")).astype(np.int16)
    # Most of a picture of a digit is paper.
    difference = np.abs(grey - np.int16(np.median(grey)))
    strongest = int(difference.max())
    if strongest < _FAINTEST:
        raise BadImage("There is nothing on the picture: it is all of one colour.")
    difference[difference < _PAPER * strongest] = 0
    return Image.fromarray((difference * 255.0 / strongest).astype(np.uint8))


def _start(mass: np.ndarray, size: int) -> int:
    """Return where ink begins so that its centre of mass falls on pixel `size` / 2.

    Counted from 0 that is pixel 14 of 28, as in MNIST's files: half a pixel beyond the
    middle.
    """
    centre = float((mass * np.arange(len(mass))).sum() / mass.sum())
    return min(max(round(size / 2 - centre), 0), size - len(mass))
