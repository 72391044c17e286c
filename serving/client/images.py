"""Anything that is an image -> the bytes that a served model decodes.

The model's graph decodes JPEG and PNG itself, so a plain one is sent as it is: what
the model sees does not depend on the client. All else that Pillow can open becomes a
lossless PNG first, grey or RGB with 8 bits:

- BMP and GIF too: TensorFlow's decoders for these ignore the palette of an 8-bit BMP,
  refuse a GIF whose first frame is smaller than its canvas, and refuse both in a
  model with one channel
- transparency is laid on white, as a page would show it
- the EXIF orientation is applied
- of several frames or pages the first counts
- 16 bits a channel are scaled to 8
- 32-bit pixels are refused, since nothing tells their range

Decoding a photograph takes far longer than sending it, so the client sends plain files
by what their headers say, and decodes them here only if the server refuses a request:
then the damaged one is told by name.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from PIL import Image, UnidentifiedImageError

from fovea.serving.client.errors import BadImage

if TYPE_CHECKING:
    import numpy as np

OneImage: TypeAlias = Union[str, "os.PathLike[str]", bytes, Image.Image]
ImageSource: TypeAlias = Union[OneImage, "np.ndarray"]
# [H, W] or [H, W, C], and [N, H, W, C]
ImageArray: TypeAlias = (
    "np.ndarray[tuple[int, int], Any] | np.ndarray[tuple[int, int, int], Any]"
)
ImageArrays: TypeAlias = "np.ndarray[tuple[int, int, int, int], Any]"

# A photograph has a few MB. What is far larger was named by mistake, and reading it
# whole would take the machine down.
MAX_FILE_BYTES = 256 * 2**20

_EXIF_ORIENTATION = 0x0112
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk: length, name and checksum
# Chunks and texts of a PNG that transparency or an orientation may stand in
_PNG_MARKS = (b"tRNS", b"eXIf", b"com.adobe.xmp", b"Raw profile type")
_JPEG_END = b"\xff\xd9"
# warnings.catch_warnings changes the process, not the thread
_warnings_lock = threading.Lock()


def encode_image(image: ImageSource, *, check: bool = True) -> bytes:
    """Turn an image into JPEG or PNG bytes that every model of ours decodes alike.

    Args:
        image: a path, the bytes of an image file, a Pillow image, or a uint8 array of
            shape [H, W], [H, W, 1] or [H, W, 3] with values 0..255.
        check: decode it in any case, so that damage is found here; otherwise whoever
            decodes it finds most of it.

    Returns:
        the file's own bytes if it is an 8-bit grey or RGB JPEG or PNG, otherwise a
        PNG of mode L or RGB.

    Raises:
        BadImage: with one sentence that says what is wrong.
    """
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        return _encode_bytes(read_file(path), str(path), check)
    if isinstance(image, bytes | bytearray | memoryview):
        return _encode_bytes(bytes(image), f"Image data of {len(image)} bytes", check)
    if isinstance(image, Image.Image):
        return _to_png(image, "The image")
    if hasattr(image, "__array_interface__"):
        return _to_png(_from_array(image), "The image")
    raise BadImage(
        "An image is a path, bytes, a Pillow image or a uint8 array. "
        f"Received: {type(image).__name__}"
    )


def read_file(path: Path) -> bytes:
    """Read an image file whole.

    Raises:
        BadImage: if it cannot be read, is empty or is far too large for an image.
    """
    try:
        stat = path.stat()
        if S_ISREG(stat.st_mode) and stat.st_size <= MAX_FILE_BYTES:
            data = path.read_bytes()
    except FileNotFoundError:
        raise BadImage(f"{path} does not exist.") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise BadImage(f"{path} cannot be read: {reason}.") from None
    if S_ISDIR(stat.st_mode):
        raise BadImage(f"{path} is a directory; name the image files inside it.")
    if not S_ISREG(stat.st_mode):
        raise BadImage(f"{path} is a device or pipe, not an image file.")
    if stat.st_size > MAX_FILE_BYTES:
        raise BadImage(
            f"{path} is too large for an image: {stat.st_size / 2**20:.0f} MiB, where "
            f"at most {MAX_FILE_BYTES // 2**20} MiB are taken."
        )
    if not data:
        raise BadImage(f"{path} is empty (0 bytes).")
    return data


def _encode_bytes(data: bytes, name: str, check: bool) -> bytes:
    if not check and _is_plain_png(data):
        return data
    image = _open(data, name)
    if not check and data.endswith(_JPEG_END) and _is_plain(image, data):
        return data
    if image.format == "PNG":
        # Pillow's decoder stops at the last pixel. TensorFlow's reads on to the end
        # and checks every chunk, so that is done here.
        if _PNG_END not in data:
            raise BadImage(_damaged(name, EOFError()))
        try:
            _open(data, name).verify()
        except Exception as error:
            raise BadImage(_damaged(name, error)) from None
    _load(image, name)
    if _is_plain(image, data):
        return data
    return _to_png(image, name)


def _open(data: bytes, name: str) -> Image.Image:
    try:
        with _warnings_lock, warnings.catch_warnings():
            # Pillow only warns of an image of 90 to 180 megapixels
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(
            f"{name} has too many pixels: at most {Image.MAX_IMAGE_PIXELS} are "
            "decoded, to guard against decompression bombs."
        ) from None
    except UnidentifiedImageError:
        if not data:
            raise BadImage(f"{name} is empty.") from None
        raise BadImage(f"{name} is not an image that Pillow can read.") from None
    except Exception as error:
        raise BadImage(_damaged(name, error)) from None


def _load(image: Image.Image, name: str) -> None:
    # Pillow's decoders raise a dozen unrelated types on damaged input (OSError,
    # SyntaxError, ValueError, struct.error, ...), and more with each format.
    try:
        image.load()
    except Exception as error:
        raise BadImage(_damaged(name, error)) from None


def _damaged(name: str, error: Exception) -> str:
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return f"{name} is truncated: the end of the file is missing."
    return f"{name} is damaged and cannot be decoded ({error})."


def _is_plain(image: Image.Image, data: bytes) -> bool:
    if image.mode not in ("L", "RGB") or _orientation(image) != 1:
        return False
    if image.format == "PNG":
        # the mode says RGB for 16 bits a channel too: byte 24 is the header's depth
        return data[24] == 8 and "transparency" not in image.info
    return image.format == "JPEG"


def _is_plain_png(data: bytes) -> bool:
    """Whether a file's header says what `_is_plain` asks; Pillow needs far longer."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        return False
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    return (
        (depth, colour) in ((8, 0), (8, 2))  # grey or RGB
        and 0 < width * height <= (Image.MAX_IMAGE_PIXELS or 0)
        and data.endswith(_PNG_END)
        and not any(mark in data for mark in _PNG_MARKS)
    )


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged EXIF beside sound pixels
        return 1


def _to_png(image: Image.Image, name: str) -> bytes:
    _load(image, name)
    if _orientation(image) != 1:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    image = _to_plain_mode(image, name)
    png = io.BytesIO()
    # From bare pixels, so that no colour profile or transparency of the source is
    # written along. Speed over size: these bytes live for one request.
    Image.frombytes(image.mode, image.size, image.tobytes()).save(
        png, "PNG", compress_level=1
    )
    return png.getvalue()


def _to_plain_mode(image: Image.Image, name: str) -> Image.Image:
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return _sixteen_bits(image)
    if image.mode in ("I", "F"):
        raise BadImage(
            f"{name} has 32-bit pixels (mode {image.mode}), whose range is unknown; "
            "save it with 8 or 16 bits."
        )
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("L" if grey else "RGB")


def _sixteen_bits(image: Image.Image) -> Image.Image:
    import numpy as np

    values = np.asarray(image).astype(np.uint32)
    # 65535 is white in 16 bits, 255 in 8: their ratio is 257
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _from_array(array: np.ndarray) -> Image.Image:
    shape = tuple(array.shape)
    grey = len(shape) == 2 or (len(shape) == 3 and shape[2] == 1)
    rgb = len(shape) == 3 and shape[2] == 3
    if array.dtype != "uint8" or not (grey or rgb) or 0 in shape:
        raise BadImage(
            "An array is an image if it is uint8 of shape [H, W], [H, W, 1] or "
            f"[H, W, 3]. Received: dtype={array.dtype}, shape={list(shape)}"
        )
    return Image.fromarray(array.reshape(shape[:2]) if grey else array)
