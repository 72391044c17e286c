"""The pixels that an image file means, in Pillow and NumPy.

A model's graph decodes files in TensorFlow operations
(`fovea.training.datasets.image_ops`). This module computes the same pixels without
TensorFlow. Decoding, transparency and grey agree to the last bit by construction. So
does resampling on x86-64, where none of 6.3 million values differed; a processor that
fuses multiplication and addition may round a value half-way between two levels to the
other one. Pillow and NumPy are imported only by the functions that need them.

Some files mean more than the graph understands. `flatten` settles these:

- the EXIF orientation is applied
- transparency is laid on white, as a page would show it
- of several frames or pages the first counts
- 16 bits a channel are scaled to 8
- palettes, CMYK and other colour spaces become grey or RGB

A file that needs none of this is plain (`is_plain`): the graph decodes it to the same
pixels.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

GREY_MODES = ("1", "L", "LA", "La")
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
EXIF_ORIENTATION = 0x0112
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk: length, name and checksum
# Chunks and texts of a PNG that transparency or an orientation may stand in
_PNG_MARKS = (b"tRNS", b"eXIf", b"com.adobe.xmp", b"Raw profile type")


def decode(data: bytes) -> np.ndarray:
    """Decode an image file of any format that Pillow reads.

    Returns:
        uint8 (height, width, 1 or 3): grey or RGB, the right way up.

    Raises:
        Exception: Of Pillow's many types, if the file cannot be read.
        ValueError: If the range of its pixels is unknown.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return to_array(flatten(image))


def to_array(image: Image.Image) -> np.ndarray:
    """Return the pixels of an image of mode L or RGB: uint8 (height, width, 1 or 3)."""
    import numpy as np

    return np.atleast_3d(np.asarray(image))


def is_plain(image: Image.Image, data: bytes) -> bool:
    """Return whether a model's graph decodes a file to the pixels of `flatten`.

    It does so for JPEG and PNG of 8 bits, grey or RGB, without transparency and
    without an EXIF orientation.

    Args:
        image: The opened file; its pixels need not be loaded.
        data: The file's bytes.
    """
    if image.mode not in ("L", "RGB") or orientation(image) != 1:
        return False
    if image.format == "PNG":
        # The mode says RGB for 16 bits a channel too: byte 24 is the header's depth.
        return data[24] == 8 and "transparency" not in image.info
    return image.format == "JPEG"


def is_plain_png(data: bytes, max_pixels: int) -> bool:
    """Return whether a file is a plain PNG, by its header alone.

    Pillow takes far longer to find out. A file that a mark of transparency or
    orientation appears in by chance is left to `is_plain`.

    Args:
        data: The file's bytes.
        max_pixels: A larger image is not plain.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        return False
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    return (
        (depth, colour) in ((8, 0), (8, 2))  # grey or RGB
        and 0 < width * height <= max_pixels
        and data.endswith(PNG_END)
        and not any(mark in data for mark in _PNG_MARKS)
    )


def flatten(image: Image.Image) -> Image.Image:
    """Return an image as grey or RGB with 8 bits, opaque and the right way up.

    Returns:
        An image of mode L or RGB.

    Raises:
        ValueError: If the range of the pixels is unknown; see `has_unknown_range`.
        Exception: Of Pillow's many types, if the pixels cannot be decoded.
    """
    from PIL import Image, ImageOps

    check_range(image)
    image.load()
    sixteen_bits = is_16_bit(image)  # the format is unknown once it is turned
    if orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if sixteen_bits:
        return _to_8_bits(image)
    transparent = image.mode in ALPHA_MODES or "transparency" in image.info
    mode = "L" if image.mode in GREY_MODES else "RGB"
    if transparent:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert(mode)


def is_grey(image: Image.Image) -> bool:
    """Return whether `flatten` makes mode L of an image."""
    return image.mode in GREY_MODES or is_16_bit(image)


def check_range(image: Image.Image) -> None:
    """Raise ValueError if nothing says which values of an image are black and white."""
    if has_unknown_range(image):
        raise ValueError("pixels of 32 bits, whose range is unknown")


def has_unknown_range(image: Image.Image) -> bool:
    """Return whether pixels have 32 bits: nothing says which value is white."""
    return image.mode in ("I", "F") and not is_16_bit(image)


def is_16_bit(image: Image.Image) -> bool:
    """Return whether an image is grey with 16 bits a pixel."""
    # Pillow used to open a PNG of 16 bits as 32-bit integers.
    return image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PNG")


def orientation(image: Image.Image) -> int:
    """Return an image's EXIF orientation, 1 to 8; 1 is upright."""
    try:
        return image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # damaged EXIF beside sound pixels
        return 1


def _to_8_bits(image: Image.Image) -> Image.Image:
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.uint32)
    # 65535 is white in 16 bits, 255 in 8: their ratio is 257.
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def fit(pixels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Bring pixels to the depth and the size that a model takes.

    Colour becomes grey if the model takes that, then another size is resampled
    without keeping the aspect ratio.

    Args:
        pixels: uint8 (height, width, 1 or 3), as `decode` returns them.
        shape: (height, width, channels) to arrive at, channels 1 or 3.

    Returns:
        uint8 of that shape.
    """
    import numpy as np
    from PIL import Image

    height, width, channels = shape
    if channels == 1 and pixels.shape[2] == 3:
        pixels = to_array(Image.fromarray(pixels).convert("L"))
    if pixels.shape[:2] != (height, width):
        values = _resample(pixels.astype(np.float32), height)
        values = _resample(values.swapaxes(0, 1), width).swapaxes(0, 1)
        pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.repeat(pixels, channels // pixels.shape[2], axis=2)


def _resample(rows: np.ndarray, size: int) -> np.ndarray:
    """Resample the first axis of float32 (n, m, channels) to a size.

    The order of the float32 operations is that of TensorFlow's ScaleAndTranslate:
    where a sum lies half-way between two levels, it decides which one it becomes.
    """
    import numpy as np

    starts, weights = _spans(len(rows), size)
    total = np.zeros((size, *rows.shape[1:]), np.float32)
    for offset, weight in enumerate(weights):
        places = np.minimum(starts + offset, len(rows) - 1)
        total += weight[:, np.newaxis, np.newaxis] * rows[places]
    return total


def _spans(length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which inputs make up each output of a resampled axis.

    Args:
        length: Number of inputs.
        size: Number of outputs.

    Returns:
        The first input of each output, int64 (size,), and the weights of it and of
        those after it, float32 (span, size), 0 behind the last.
    """
    import numpy as np

    one, half = np.float32(1), np.float32(0.5)
    scale = np.float32(size) / np.float32(length)
    step = np.float32(1.0 / float(scale))
    radius = max(step, one)
    centres = (np.arange(size, dtype=np.float32) + half) * step
    starts = np.ceil(centres - radius - half).clip(0, length - 1).astype(np.int64)
    ends = np.floor(centres + radius - half).clip(0, length - 1).astype(np.int64)
    places = starts + np.arange((ends - starts).max() + 1)[:, np.newaxis]
    distances = places.astype(np.float32) + half - centres
    weights = one - np.abs(distances * (one / radius))
    weights = np.where(places <= ends, weights.clip(0), np.float32(0))
    # Added one after the other, as TensorFlow does; np.sum adds pairwise.
    sums = np.add.accumulate(weights, axis=0, dtype=np.float32)[-1]
    return starts, weights * (one / sums)
