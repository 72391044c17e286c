"""Convert drawings, files and photographs to the input of a model."""

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
class ModelInput:
    """An image that is ready to be sent.

    Attributes:
        pixels: The input of the model, uint8 (height, width, channels).
        encoded: Bytes of the image file, if the model is to decode it itself; `pixels`
            is then the result of that up to rounding.
    """

    pixels: np.ndarray
    encoded: bytes | None = None


def from_drawing(png: bytes, servable: Servable) -> ModelInput:
    """Convert a drawing, white on black, as the digits of MNIST were.

    Args:
        png: Bytes of the image file.
        servable: The model.

    Raises:
        BadImage: If it is not an image, is empty, or the model takes colour images.
    """
    if not servable.grey:
        raise BadImage(
            f"Model {servable.name!r} takes colour images, not drawings in white on "
            "black; choose a file."
        )
    ink = _open(encode_image(png)).convert("L")
    return ModelInput(centre_digit(ink, servable.shape[:2])[..., np.newaxis])


def from_file(data: bytes, servable: Servable) -> ModelInput:
    """Convert the bytes of an image file of any size, mode and format.

    Args:
        data: Bytes of the image file.
        servable: The model.

    Raises:
        BadImage: If it is not an image that can be read.
    """
    encoded = encode_image(data)
    height, width, channels = servable.shape
    image = _open(encoded).convert("L" if channels == 1 else "RGB")
    # As the exported graph does: each side scaled on its own, with a triangle filter.
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return ModelInput(np.asarray(resized).reshape(servable.shape), encoded)


def from_photo_of_digit(data: bytes, servable: Servable) -> ModelInput:
    """Cut a digit out of a photograph or scan, and convert it as MNIST's were.

    Args:
        data: Bytes of the image file.
        servable: The model.

    Raises:
        BadImage: If it is not an image, is empty, or the model takes colour images.
    """
    if not servable.grey:
        raise BadImage(
            f"Model {servable.name!r} takes colour images; digits are cut out of "
            "photographs for models of grey images only."
        )
    ink = ink_of_photo(_open(encode_image(data)))
    return ModelInput(centre_digit(ink, servable.shape[:2])[..., np.newaxis])


def _open(encoded: bytes) -> Image.Image:
    return Image.open(io.BytesIO(encoded))
