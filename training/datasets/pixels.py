"""Any picture -> the pixels that a model sees.

A model is trained on what it will be served: a plain JPEG or PNG is decoded, and every
picture is turned grey and resampled, by the very functions that the exported graph
holds. What the graph cannot read goes through Pillow first, as in the client: EXIF
orientation is applied, transparency laid on white, the first frame counts, 16 bits
become 8, and pixels of 32 bits are refused, since nothing tells their range.
"""

import functools
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from fovea.training.exporting import signatures

GREY = ("1", "L", "LA", "La")
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
ORIENTATION = 0x0112  # the EXIF tag


class Header(NamedTuple):
    """What a picture's file says before it is decoded."""

    height: int
    width: int
    is_grey: bool


def header(path: Path) -> Header:
    """Read how large a picture is, and whether it is grey.

    Raises:
        Exception: Of Pillow's many kinds, if the file is no picture.
    """
    with Image.open(path) as image:
        _refuse_32_bits(image)
        width, height = image.size
        if _orientation(image) >= 5:  # lies on its side
            width, height = height, width
        return Header(height, width, image.mode in GREY or _is_16_bit(image))


def read(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read a picture as a model of this image shape would see it when served.

    Args:
        path: A file of any format, size and mode that Pillow reads.
        shape: (height, width, channels), channels 1 or 3.

    Returns:
        uint8 of that shape.

    Raises:
        Exception: Of Pillow's many kinds, if the file cannot be read.
    """
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        if _is_plain(image, data):
            try:
                return _decoder(shape)(data).numpy()
            except tf.errors.InvalidArgumentError as error:
                image.load()  # tells better what is wrong
                raise ValueError("damaged") from error
        return _fitter(shape)(np.atleast_3d(_upright(image))).numpy()


def fit(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Bring images in memory to another size or depth.

    Args:
        images: uint8 (n, height, width, 1 or 3).
        shape: (height, width, channels) to arrive at.

    Returns:
        uint8 (n, *shape).
    """
    fitted = np.empty((len(images), *shape), np.uint8)
    fit_one = _fitter(shape)
    for place, image in enumerate(images):
        fitted[place] = fit_one(image).numpy()
    return fitted


@functools.cache
def _decoder(shape: tuple[int, int, int]):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def decode(encoded):
        return signatures.decode_image(encoded, shape)

    return decode


@functools.cache
def _fitter(shape: tuple[int, int, int]):
    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None], tf.uint8)], autograph=False
    )
    def fit_one(image):
        return signatures.fit_image(image, shape)

    return fit_one


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Return whether the exported graph decodes a file as Pillow does."""
    if image.mode not in ("L", "RGB") or _orientation(image) != 1:
        return False
    if image.format == "PNG":
        # The mode says RGB for 16 bits a channel too: byte 24 is the header's depth.
        return data[24] == 8 and "transparency" not in image.info
    return image.format == "JPEG"


def _upright(image: Image.Image) -> np.ndarray:
    """Return a picture's pixels, grey or RGB with 8 bits, the right way up."""
    _refuse_32_bits(image)
    image.load()
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if _is_16_bit(image):
        # 65535 is white in 16 bits, 255 in 8: their ratio is 257.
        values = np.asarray(image).astype(np.uint32)
        return ((values + 128) // 257).astype(np.uint8)
    depth = "L" if image.mode in GREY else "RGB"
    if image.mode in TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert(depth))


def _refuse_32_bits(image: Image.Image) -> None:
    if image.mode in ("I", "F") and not _is_16_bit(image):
        raise ValueError("pixels of 32 bits, whose range is unknown")


def _is_16_bit(image: Image.Image) -> bool:
    # Pillow used to open a PNG of 16 bits as 32-bit integers.
    return image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PNG")


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF beside sound pixels
        return 1
