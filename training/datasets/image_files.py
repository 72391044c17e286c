"""Read image files as a model will see them when it is served.

A plain JPEG or PNG is decoded by the operations that the exported graph holds
(`fovea.training.datasets.image_ops`). What the graph does not understand goes through
Pillow first, as in the client (`fovea.serving.protocol.pixels`).
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from fovea.serving.protocol import pixels
from fovea.training.datasets import image_ops


class Header(NamedTuple):
    """What an image file says before it is decoded.

    Attributes:
        height: Of the image the right way up.
        width: Of the image the right way up.
        is_grey: Whether its pixels have one value each.
    """

    height: int
    width: int
    is_grey: bool


def header(path: Path) -> Header:
    """Read how large an image is, and whether it is grey.

    Raises:
        Exception: Of Pillow's many types, if the file is no image.
    """
    with Image.open(path) as image:
        pixels.check_range(image)
        width, height = image.size
        if pixels.orientation(image) >= 5:  # lies on its side
            width, height = height, width
        return Header(height, width, pixels.is_grey(image))


def read(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read an image as a model of this image shape would see it when served.

    Args:
        path: A file of any format, size and mode that Pillow reads.
        shape: (height, width, channels), channels 1 or 3.

    Returns:
        uint8 of that shape.

    Raises:
        Exception: Of Pillow's many types, if the file cannot be read.
    """
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        if not pixels.is_plain(image, data):
            flat = pixels.to_array(pixels.flatten(image))
            return image_ops.fitter(shape)(flat).numpy()
        try:
            return image_ops.decoder(shape)(data).numpy()
        except tf.errors.InvalidArgumentError as error:
            image.load()  # its error says better what is wrong
            raise ValueError("damaged") from error
