"""The bytes sent for each image format, checked by TensorFlow's decoder."""

import io
import os
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fovea import BadImage
from fovea import encode_image as encode
from fovea.serving.client.calls.predictions import PIXEL_PNG


def encode_image(image):
    """Encode with and without the check, which matters for damaged files only."""
    sent = encode(image)
    assert encode(image, check=False) == sent
    return sent


@pytest.fixture
def decode(tf):
    """decode(bytes) -> the pixels [H, W, C] that a model's graph decodes."""
    from fovea.training.datasets import image_ops

    def to_pixels(data):
        return image_ops.decode(tf.constant(data)).numpy()

    return to_pixels


def pixels(image):
    array = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array


def reopened(data):
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"compress_level": 0}])
def test_plain_png_is_sent_as_it_is(photo, save, decode, mode, options):
    data = save(photo.convert(mode), "PNG", **options)
    assert encode_image(data) is data
    np.testing.assert_array_equal(decode(data), pixels(photo.convert(mode)))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_plain_jpeg_is_sent_as_it_is(photo, save, decode, mode, progressive):
    data = save(photo.convert(mode), "JPEG", quality=90, progressive=progressive)
    assert encode_image(data) is data
    np.testing.assert_array_equal(decode(data), pixels(reopened(data)))


LOSSLESS = [
    ("BMP", "RGB", {}),
    ("BMP", "L", {}),
    ("BMP", "1", {}),
    ("BMP", "P", {}),
    ("GIF", "L", {}),
    ("GIF", "P", {}),
    ("WEBP", "RGB", {"lossless": True}),
    ("TIFF", "RGB", {}),
    ("TIFF", "L", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("PNG", "1", {}),
    ("PNG", "P", {}),
    ("PPM", "RGB", {}),
    ("TGA", "RGB", {}),
]


@pytest.mark.parametrize(("format", "mode", "options"), LOSSLESS)
def test_other_files_become_png_with_the_same_pixels(
    photo, save, decode, format, mode, options
):
    data = save(photo.convert(mode), format, **options)
    expected = reopened(data)
    expected = expected.convert("L" if expected.mode in ("1", "L") else "RGB")
    sent = encode_image(data)
    assert reopened(sent).format == "PNG"
    np.testing.assert_array_equal(decode(sent), pixels(expected))


def test_cmyk_jpeg_becomes_rgb(photo, save, decode):
    data = save(photo.convert("CMYK"), "JPEG", quality=95)
    expected = reopened(data).convert("RGB")
    np.testing.assert_array_equal(decode(encode_image(data)), pixels(expected))


def png_of(depth, colour, rows):
    """A PNG that Pillow cannot write: 16 bits a channel."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    height, width = rows.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


def test_sixteen_bits_are_scaled_to_eight(decode, save):
    rows = np.array([[0, 257, 32896, 65535]], np.uint16)
    expected = [[[0], [1], [128], [255]]]
    for data in (png_of(16, 0, rows), save(Image.fromarray(rows), "TIFF")):
        sent = encode_image(data)
        assert sent[24] == 8  # bits a channel, in a PNG's header
        assert decode(sent).tolist() == expected


def test_sixteen_bit_rgb_is_scaled_to_eight(decode):
    rows = np.array([[[0, 32896, 65535]]], np.uint16)
    sent = encode_image(png_of(16, 2, rows))
    assert sent[24] == 8
    assert decode(sent).tolist() == [[[0, 128, 255]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_blended_with_white(decode, mode):
    image = Image.new("RGBA", (3, 1))
    image.putpixel((0, 0), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 51))
    seen = decode(encode_image(image.convert(mode)))
    assert seen.shape[2] == (1 if mode == "LA" else 3)
    assert seen[0, :, 0].tolist() == [0, 255, 204]


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
def test_a_transparent_colour_becomes_white(save, decode, mode):
    image = Image.new("RGB", (2, 1))
    image.putpixel((1, 0), (255, 255, 255))
    image = image.convert(mode)
    black = image.getpixel((0, 0))
    data = save(image, "PNG", transparency=black)
    assert decode(encode_image(data))[0, :, 0].tolist() == [255, 255]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation_is_applied(save, decode, format, orientation):
    image = Image.new("L", (32, 16))
    image.paste(255, (0, 0, 8, 8))  # white: the upper left corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(image.convert("RGB"), format, exif=exif)
    seen = decode(encode_image(data))
    assert seen.shape[:2] == ((32, 16) if orientation >= 5 else (16, 32))
    corners = [seen[y, x, 0] > 128 for y in (2, -3) for x in (2, -3)]
    lit = {2: 1, 3: 3, 4: 2, 5: 0, 6: 1, 7: 3, 8: 2}[orientation]
    assert corners == [n == lit for n in range(4)]


@pytest.mark.parametrize("format", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_frame_is_used(save, decode, format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    data = save(frames[0], format, save_all=True, append_images=frames[1:])
    assert decode(encode_image(data)).min() > 250


def test_colour_profiles_are_removed(save):
    data = save(Image.new("RGB", (2, 2)), "TIFF", icc_profile=b"x" * 500)
    assert "icc_profile" not in reopened(encode_image(data)).info


def test_arrays_and_pillow_images(photo, decode):
    np.testing.assert_array_equal(decode(encode_image(photo)), pixels(photo))
    array = pixels(photo)
    np.testing.assert_array_equal(decode(encode_image(array)), array)
    for grey in (array[..., 0], array[..., :1]):
        np.testing.assert_array_equal(decode(encode_image(grey)), array[..., :1])


def test_paths(photo, tmp_path):
    path = tmp_path / "a.png"
    photo.save(path)
    assert encode_image(path) == encode_image(str(path)) == path.read_bytes()


def test_the_pixel_that_labels_sends_is_a_png(decode):
    assert decode(PIXEL_PNG).tolist() == [[[255]]]


BAD_FILES = {
    "missing.png": (None, "does not exist."),
    "empty.png": (b"", "is empty (0 bytes)."),
    "notes.txt": (b"hello", "is not an image that Pillow can read."),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named_in_one_sentence(tmp_path, name):
    content, sentence = BAD_FILES[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadImage) as caught:
        encode_image(path)
    assert str(caught.value) == f"{path} {sentence}"


def test_a_directory_is_rejected(tmp_path):
    with pytest.raises(BadImage) as caught:
        encode_image(tmp_path)
    sentence = f"{tmp_path} is a directory; name the image files inside it."
    assert str(caught.value) == sentence


def test_a_pipe_is_rejected_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadImage, match="is a device or pipe"):
        encode_image(tmp_path / "pipe")


def test_an_unreadable_path_is_rejected(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(BadImage, match="cannot be read: Not a directory"):
        encode_image(tmp_path / "file" / "a.png")
    with pytest.raises(BadImage, match=r"cannot be read: .*embedded null"):
        encode_image("a\0.png")
    with pytest.raises(BadImage, match="cannot be read: File name too long"):
        encode_image("a" * 300)


def test_a_huge_file_is_rejected_unread(tmp_path):
    path = tmp_path / "disk.png"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(BadImage, match="too large for an image: 1048576 MiB"):
        encode_image(path)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_truncated_files_are_rejected(photo, save, tmp_path, format):
    path = tmp_path / "cut"
    data = save(photo, format)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BadImage) as caught:
        encode_image(path)
    assert str(caught.value).startswith(f"{path} is ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_tensorflow_decodes_everything_that_is_sent(photo, save, decode, format):
    """No truncated or corrupted file passes the check and fails in the graph."""
    data = save(photo, format)
    rng = random.Random(0)
    cuts = [data[:n] for n in (*range(1, len(data), 97), *range(-30, 0))]
    flips = []
    for _ in range(150):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        flips.append(bytes(flipped))
    rejected = 0
    for damaged in cuts + flips:
        try:
            sent = encode_image(damaged)
        except BadImage:
            rejected += 1
        else:
            decode(sent)
    assert rejected >= len(cuts) - 1


@pytest.mark.parametrize("factor", [1.5, 3])
def test_decompression_bombs_are_rejected(save, monkeypatch, factor):
    """Pillow warns above its limit and raises above twice that; both are rejected."""
    data = save(Image.new("L", (30, 10)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(300 / factor))
    with pytest.raises(BadImage, match="too many pixels"):
        encode_image(data)


def test_pixels_of_unknown_range_are_rejected(save):
    data = save(Image.new("F", (2, 2)), "TIFF")
    with pytest.raises(BadImage, match="save it with 8 or 16 bits"):
        encode_image(data)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2), np.float32),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((0, 2), np.uint8),
        np.zeros(3, np.uint8),
    ],
)
def test_arrays_that_are_not_images(array):
    with pytest.raises(BadImage, match="Received: dtype="):
        encode_image(array)


def test_objects_that_are_not_images():
    with pytest.raises(BadImage, match="Received: int"):
        encode_image(3)
    with pytest.raises(BadImage, match="Image data of 0 bytes"):
        encode_image(b"")
