"""Folders of images: the files found, the errors, and the resulting pixels."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fovea.serving.client.images import encode_image
from fovea.serving.protocol.pixels import EXIF_ORIENTATION
from fovea.training.datasets import image_files, image_ops, load


@pytest.fixture
def pets(tmp_path):
    """Six photographs of two classes, of one size, without a test part."""
    rng = np.random.default_rng(0)
    for class_name in ("dog", "cat"):
        (tmp_path / "pets" / class_name).mkdir(parents=True)
        for number in range(3):
            noise = rng.integers(0, 256, (24, 20, 3), np.uint8)
            path = tmp_path / "pets" / class_name / f"{number}.png"
            Image.fromarray(noise).save(path)
    return tmp_path / "pets"


def _pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_saved_digits_are_loaded_unchanged(digits, tmp_path):
    for part, images, labels in (
        ("train", digits.x_train[:200], digits.y_train[:200]),
        ("test", digits.x_test[:20], digits.y_test[:20]),
    ):
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = tmp_path / part / f"digit {label}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(folder / f"{place:03}.png")
    loaded = load.load(f"folder:{tmp_path}")
    assert loaded.class_names == tuple(f"digit {label}" for label in range(10))
    assert loaded.input_shape == (28, 28, 1)
    order = np.argsort(digits.y_train[:200], kind="stable")
    assert np.array_equal(loaded.x_train, digits.x_train[:200][order])
    assert np.array_equal(loaded.y_train, digits.y_train[:200][order])
    order = np.argsort(digits.y_test[:20], kind="stable")
    assert np.array_equal(loaded.x_test, digits.x_test[:20][order])
    assert loaded.y_train.dtype == loaded.y_test.dtype == np.int64
    assert loaded.test_files[0] == str(tmp_path / "test/digit 0" / f"{order[0]:03}.png")
    assert loaded.skipped == 0 and loaded.source == str(tmp_path)


def test_without_parts_all_images_are_for_training(pets, monkeypatch):
    monkeypatch.chdir(pets.parent)
    loaded = load.load("folder:pets")
    assert loaded.name == f"folder:{pets}" and load.short_name(loaded.name) == "pets"
    assert loaded.class_names == ("cat", "dog")
    assert loaded.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.x_test.shape == (0, 24, 20, 3)
    for image, path in zip(loaded.x_train, loaded.train_files, strict=True):
        assert np.array_equal(image, _pixels(path))
    again = load.load(loaded.name)
    assert np.array_equal(again.x_train, loaded.x_train)


def test_hidden_files_and_other_files_are_ignored(pets):
    (pets / ".cache").mkdir()
    (pets / ".DS_Store").write_bytes(b"?")
    (pets / "README.txt").write_text("about pets")
    (pets / "cat" / ".0.png.swp").write_bytes(b"?")
    (pets / "cat" / "._0.png").write_bytes(b"?")
    (pets / "cat" / "labels.csv").write_text("0,1")
    (pets / "cat" / "deeper").mkdir()
    loaded = load.load(f"folder:{pets}")
    assert loaded.class_names == ("cat", "dog") and len(loaded.x_train) == 6


def test_size_and_depth_follow_the_pictures(pets):
    grey = Image.open(pets / "cat/0.png").convert("L")
    assert load.load(f"folder:{pets}").input_shape == (24, 20, 3)
    grey.resize((50, 30)).save(pets / "cat/0.png")
    assert load.load(f"folder:{pets}").input_shape == (32, 32, 3)
    for path in pets.glob("*/*.png"):
        grey.resize((64, 40)).save(path)
    assert load.load(f"folder:{pets}").input_shape == (40, 64, 1)
    for path in pets.glob("*/*.png"):
        grey.resize((65, 40)).save(path)
    assert load.load(f"folder:{pets}").input_shape == (32, 32, 1)
    resized = load.load(f"folder:{pets}", image_size=(9, 11), channels=3)
    assert resized.input_shape == (9, 11, 3)


NOISE = np.random.default_rng(1).integers(0, 256, (45, 61, 4), np.uint8)


def _saved(image: Image.Image, suffix: str, **settings):
    def save(path: Path) -> Path:
        image.save(path.with_suffix(suffix), **settings)
        return path.with_suffix(suffix)

    return save


def _picture(mode: str) -> Image.Image:
    # Smooth, as photographs are, so that JPEG keeps something of it.
    return Image.fromarray(NOISE).resize((61, 45), box=(3, 3, 9, 8)).convert(mode)


def _rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    return exif


PICTURES = {
    "jpeg": _saved(_picture("RGB"), ".jpg"),
    "jpeg grey": _saved(_picture("L"), ".jpg"),
    "jpeg cmyk": _saved(_picture("CMYK"), ".jpg"),
    "jpeg on its side": _saved(_picture("RGB"), ".jpeg", exif=_rotated()),
    "jpeg progressive": _saved(_picture("RGB"), ".JPG", progressive=True),
    "png": _saved(_picture("RGB"), ".png"),
    "png grey": _saved(_picture("L"), ".png"),
    "png black and white": _saved(_picture("1"), ".png"),
    "png grey with alpha": _saved(_picture("LA"), ".png"),
    "png with alpha": _saved(_picture("RGBA"), ".png"),
    "png palette": _saved(_picture("P"), ".png"),
    "png palette with a transparent colour": _saved(
        _picture("P"), ".png", transparency=3
    ),
    "png 16 bits": _saved(
        Image.fromarray(NOISE[..., 0].astype(np.uint16) * 250 + 7), ".png"
    ),
    "png on its side": _saved(_picture("RGB"), ".png", exif=_rotated()),
    "gif": _saved(
        _picture("P"), ".gif", save_all=True, append_images=[_picture("P")] * 2
    ),
    "bmp": _saved(_picture("RGB"), ".bmp"),
    "tiff": _saved(_picture("RGBA"), ".tif"),
    "webp": _saved(_picture("RGB"), ".webp", lossless=True),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", PICTURES)
def test_training_and_serving_see_the_same_pixels(kind, channels, tmp_path):
    """Bit for bit, for every format, mode and size."""
    path = PICTURES[kind](tmp_path / "picture")
    shape = (20, 28, channels)
    served = image_ops.decode_image(encode_image(path), shape).numpy()
    trained = image_files.read(path, shape)
    assert trained.dtype == np.uint8
    assert np.array_equal(trained, served)
    assert served.std() > 5  # it is a picture


@pytest.mark.parametrize("kind", PICTURES)
def test_a_header_determines_size_and_depth(kind, tmp_path):
    path = PICTURES[kind](tmp_path / "picture")
    header = image_files.header(path)
    size = (61, 45) if "side" in kind else (45, 61)
    assert (header.height, header.width) == size
    grey = kind in ("jpeg grey", "png grey", "png black and white")
    assert header.is_grey == (grey or kind in ("png grey with alpha", "png 16 bits"))


def test_images_in_memory_have_the_same_pixels(tmp_path):
    image = np.asarray(_picture("RGB"))
    Image.fromarray(image).save(tmp_path / "picture.png")
    (fitted,) = image_ops.fit_images(image[np.newaxis], (20, 28, 1))
    assert np.array_equal(
        fitted, image_files.read(tmp_path / "picture.png", (20, 28, 1))
    )


def test_unreadable_pictures_are_listed_and_left_out_only_on_request(pets):
    whole = (pets / "cat/0.png").read_bytes()
    (pets / "cat/cut.png").write_bytes(whole[: len(whole) // 2])
    (pets / "dog/empty.jpg").write_bytes(b"")
    (pets / "dog/text.gif").write_text("no picture")
    half = io.BytesIO()
    _picture("RGB").resize((20, 24)).save(half, "JPEG")
    (pets / "dog/half.jpg").write_bytes(half.getvalue()[:-100])
    Image.new("F", (8, 8)).save(pets / "dog/float.tif")
    with pytest.raises(ValueError) as error:
        load.load(f"folder:{pets}")
    message = str(error.value)
    assert message.startswith("5 images, cat/cut.png (truncated), dog/empty.jpg (")
    for name in ("dog/float.tif", "dog/half.jpg", "dog/text.gif"):
        assert name in message
    assert "--skip-bad" in message and message.endswith(
        f"Received: dataset=folder:{pets}"
    )
    loaded = load.load(f"folder:{pets}", skip_bad=True)
    assert loaded.y_train.tolist() == [0, 0, 0, 1, 1, 1] and loaded.skipped == 5
    assert loaded.source == f"{pets}, 5 unreadable left out"
    for image, path in zip(loaded.x_train, loaded.train_files, strict=True):
        assert np.array_equal(image, _pixels(path))


def test_of_many_unreadable_pictures_ten_are_listed(pets):
    for number in range(25):
        (pets / "dog" / f"x{number:02}.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"^25 images, .* and 15 more, ") as error:
        load.load(f"folder:{pets}")
    assert len(re.findall(r"x\d\d\.png", str(error.value))) == 10


def test_a_class_without_a_readable_picture_is_rejected(pets):
    for path in (pets / "dog").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"that can be read.* None are in: dog\."):
        load.load(f"folder:{pets}", skip_bad=True)
    for path in (pets / "cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"None are in: cat, dog\."):
        load.load(f"folder:{pets}", skip_bad=True)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pets: _move(pets, pets.with_name("gone")), "folder must exist"),
        (lambda pets: _move(pets / "dog", pets / ".dog"), "at least 2 classes.*: cat"),
        (lambda pets: (pets / "eel").mkdir(), "None are in: eel"),
        (
            lambda pets: [path.unlink() for path in pets.glob("*/*")],
            "None are in: cat, dog",
        ),
        (
            lambda pets: _move(pets / "cat", pets / "test"),
            "test must have a folder train",
        ),
        (lambda pets: (pets / "train").mkdir(), "at least 2 classes.*no folder"),
        (
            lambda pets: [
                _move(pets / "cat", pets / "train/cat"),
                _move(pets / "dog", pets / "train/dog"),
                (pets / "test/cta").mkdir(parents=True),
            ],
            r"no class that train lacks\. Found: cta",
        ),
    ],
)
def test_a_folder_that_is_not_a_data_set_is_rejected(pets, change, message):
    change(pets)
    with pytest.raises((ValueError, OSError), match=message) as error:
        load.load(f"folder:{pets}")
    assert str(error.value).endswith(f"Received: dataset=folder:{pets}")
    assert "\n" not in str(error.value)


def test_the_error_for_insufficient_memory_states_the_size(pets):
    with pytest.raises(
        ValueError, match=r"6 images of 1000000x1000000x3 would take"
    ) as e:
        load.load(f"folder:{pets}", image_size=(10**6, 10**6))
    assert "16763.8 GiB" in str(e.value)
