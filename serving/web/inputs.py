"""What people give the page -> the tensors that a model is asked with."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fovea.serving.client.errors import BadImage
from fovea.serving.client.images import encode_image
from fovea.serving.web.digit import centre_digit, ink_of_photo
from fovea.serving.web.servable import Servable


@dataclass(frozen=True)
class Question:
    """One picture, ready to be sent.

    Attributes:
        pixels: uint8 (height, width, channels): what the model looks at.
        encoded: the file's bytes, if the model itself is to decode them; `pixels` is
            then what that gives, up to rounding.
    """

    pixels: np.ndarray
    encoded: bytes | None = None


def from_drawing(png: bytes, servable: Servable) -> Question:
    """Prepare a drawing, white on black, as MNIST's digits were.

    Raises:
        BadImage: if it is no picture, is empty, or the model wants colours.
    """
    if not servable.grey:
        raise BadImage(
            f"Model {servable.name!r} takes pictures in colour, which a drawing in "
            "white on black is not; choose a picture."
        )
    ink = _open(encode_image(png)).convert("L")
    return Question(centre_digit(ink, servable.shape[:2])[..., np.newaxis])


def from_file(data: bytes, servable: Servable) -> Question:
    """Prepare the bytes of an image file of any size, mode and format.

    Raises:
        BadImage: if it is no picture that can be read.
    """
    encoded = encode_image(data)
    height, width, channels = servable.shape
    picture = _open(encoded).convert("L" if channels == 1 else "RGB")
    # As the exported graph does: both sides for themselves, triangle filter.
    fitted = picture.resize((width, height), Image.Resampling.BILINEAR)
    return Question(np.asarray(fitted).reshape(servable.shape), encoded)


def from_photo_of_digit(data: bytes, servable: Servable) -> Question:
    """Cut a digit out of a photograph or scan and prepare it as MNIST's were.

    Raises:
        BadImage: if it is no picture, is empty, or the model wants colours.
    """
    if not servable.grey:
        raise BadImage(
            f"Model {servable.name!r} takes pictures in colour; only grey digits are "
            "cut out of photographs."
        )
    ink = ink_of_photo(_open(encode_image(data)))
    return Question(centre_digit(ink, servable.shape[:2])[..., np.newaxis])


def _open(encoded: bytes) -> Image.Image:
    return Image.open(io.BytesIO(encoded))
