"""The bytes that are sent for an image: what a served model decodes.

The model's graph decodes JPEG and PNG itself, so a plain one is sent as it is. Every
other file that Pillow can open becomes a lossless PNG first, grey or RGB with 8 bits
(`fovea.serving.protocol.pixels.flatten`), BMP and GIF as well: TensorFlow's decoders
ignore the palette of an 8-bit BMP, reject a BMP of 1 bit, crop a GIF to its first frame
and make its transparent pixels black. Pixels of 32 bits are refused, since nothing says
which value is white.

Decoding a photograph takes far longer than sending it, so the client sends plain files
by what their headers say, and decodes them here only if the server refuses a request:
then the error names the damaged one.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from PIL import Image, UnidentifiedImageError

from fovea.serving.client.errors import BadImage
from fovea.serving.protocol import pixels

if TYPE_CHECKING:
    import numpy as np

OneImage: TypeAlias = Union[str, "os.PathLike[str]", bytes, Image.Image]
ImageSource: TypeAlias = Union[OneImage, "np.ndarray"]
# [H, W] or [H, W, C], and [N, H, W, C]
ImageArray: TypeAlias = (
    "np.ndarray[tuple[int, int], Any] | np.ndarray[tuple[int, int, int], Any]"
)
ImageArrays: TypeAlias = "np.ndarray[tuple[int, int, int, int], Any]"

# A photograph has a few MB. A far larger file was named by mistake, and reading it
# whole could use up the memory.
MAX_FILE_BYTES = 256 * 2**20

_JPEG_END = b"\xff\xd9"
# warnings.catch_warnings changes the process, not the thread
_warnings_lock = threading.Lock()


def encode_image(
    image: ImageSource, *, name: str | None = None, check: bool = True
) -> bytes:
    """Return an image as JPEG or PNG bytes that an exported model decodes.

    Args:
        image: A path, the bytes of an image file, a Pillow image, or a uint8 array of
            shape [H, W], [H, W, 1] or [H, W, 3] with values 0..255.
        name: What errors call the image; its path or its type if None.
        check: Decode the image in any case, so that damage is found here. Without
            it, damage to a plain file is left for the server to find.

    Returns:
        The file's own bytes if it is an 8-bit grey or RGB JPEG or PNG, otherwise a
        PNG of mode L or RGB.

    Raises:
        BadImage: If it is no image; the message is one sentence that says why.
    """
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        return _encode_bytes(read_file(path), name or str(path), check)
    if isinstance(image, bytes | bytearray | memoryview):
        size = f"{len(image)} bytes"
        subject = f"{name} ({size})" if name else f"Image data of {size}"
        return _encode_bytes(bytes(image), subject, check)
    subject = name or "The image"
    if isinstance(image, Image.Image):
        return _to_png(image, subject)
    if hasattr(image, "__array_interface__"):
        return _to_png(_from_array(image, subject), subject)
    raise BadImage(
        f"{subject} must be a path, bytes, a Pillow image or a uint8 array. "
        f"Received: {type(image).__name__}"
    )


def read_file(path: Path) -> bytes:
    """Read an image file whole.

    Raises:
        BadImage: If it cannot be read, is empty or is far too large for an image.
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
    if not check and pixels.is_plain_png(data, Image.MAX_IMAGE_PIXELS or 0):
        return data
    image = _open(data, name)
    if not check and data.endswith(_JPEG_END) and pixels.is_plain(image, data):
        return data
    if image.format == "PNG":
        # Pillow's decoder stops at the last pixel. TensorFlow's reads on to the end
        # and checks every chunk, so that is done here.
        if pixels.PNG_END not in data:
            raise BadImage(_damaged(name, EOFError()))
        try:
            _open(data, name).verify()
        except Exception as error:
            raise BadImage(_damaged(name, error)) from None
    _load(image, name)
    if pixels.is_plain(image, data):
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


def _to_png(image: Image.Image, name: str) -> bytes:
    _load(image, name)
    if pixels.has_unknown_range(image):
        raise BadImage(
            f"{name} has 32-bit pixels (mode {image.mode}), whose range is unknown; "
            "save it with 8 or 16 bits."
        )
    image = pixels.flatten(image)
    png = io.BytesIO()
    # From bare pixels, so that no colour profile or transparency of the source is
    # written along. Speed over size: these bytes live for one request.
    Image.frombytes(image.mode, image.size, image.tobytes()).save(
        png, "PNG", compress_level=1
    )
    return png.getvalue()


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    shape = tuple(array.shape)
    grey = len(shape) == 2 or (len(shape) == 3 and shape[2] == 1)
    rgb = len(shape) == 3 and shape[2] == 3
    if array.dtype != "uint8" or not (grey or rgb) or 0 in shape:
        raise BadImage(
            f"{name} must be a uint8 array of shape [H, W], [H, W, 1] or [H, W, 3]. "
            f"Received: dtype={array.dtype}, shape={list(shape)}"
        )
    return Image.fromarray(array.reshape(shape[:2]) if grey else array)
