"""Colour jitter and RandAugment, compared with NumPy and Pillow."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from fovea.models import augmentation
from fovea.models.augmentation.rand_augment import OPERATIONS

RNG = np.random.default_rng(0)
LUMA = np.array([0.299, 0.587, 0.114], "float32")


def jittered(x, **amounts):
    layer = augmentation.ColorJitter((0, 1), seed=1, **amounts)
    return np.asarray(layer(x, training=True))


def muted(shape=(200, 5, 6, 3)):
    """Return images that no amount of the tests below clips."""
    return RNG.uniform(0.4, 0.6, shape).astype("float32")


def test_brightness_multiplies():
    x = muted()
    factors = jittered(x, brightness=0.3) / x
    np.testing.assert_allclose(
        factors,
        factors[:, :1, :1, :1].repeat(5, 1).repeat(6, 2).repeat(3, 3),
        rtol=1e-5,
    )
    factors = factors[:, 0, 0, 0]
    assert 0.7 <= factors.min() < 0.75 and 1.25 < factors.max() <= 1.3


def test_contrast_is_about_the_mean_grey():
    x = muted()
    mean = (x @ LUMA).mean((1, 2))[:, None, None, None]
    y = jittered(x, contrast=0.4)
    factors = ((y - mean) * (x - mean)).sum((1, 2, 3)) / ((x - mean) ** 2).sum(
        (1, 2, 3)
    )
    expected = mean + factors[:, None, None, None] * (x - mean)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    assert 0.6 <= factors.min() < 0.65 and 1.35 < factors.max() <= 1.4 + 1e-4


def test_saturation_and_hue_leave_grey_values_alone():
    x = muted()
    grey = (x @ LUMA)[..., None]
    saturated = jittered(x, saturation=0.5)
    factors = ((saturated - grey) / (x - grey))[:, 0, 0]
    np.testing.assert_allclose(factors, factors[:, :1].repeat(3, 1), rtol=1e-2)
    turned = jittered(x, hue=0.5)
    assert np.abs(turned - x).max() > 0.1
    for y in (saturated, turned):
        np.testing.assert_allclose((y @ LUMA)[..., None], grey, atol=2e-3)
    colourless = muted((20, 5, 6, 1)).repeat(3, axis=3)
    for y in (jittered(colourless, saturation=0.5), jittered(colourless, hue=0.5)):
        np.testing.assert_allclose(y, colourless, atol=2e-3)


def test_grey_images_have_brightness_and_contrast_only():
    x = muted((20, 5, 6, 1))
    np.testing.assert_allclose(jittered(x, saturation=1.0, hue=0.5), x, atol=1e-6)
    assert not np.allclose(jittered(x, brightness=0.5), x, atol=1e-2)


def test_jitter_without_amounts_is_the_identity():
    x = RNG.uniform(size=(8, 5, 6, 3)).astype("float32")
    np.testing.assert_allclose(jittered(x), x, atol=1e-3)


def photo(channels: int) -> np.ndarray:
    """Return a smooth uint8 image that is neither very dark nor very bright."""
    coarse = RNG.uniform(30, 220, (1, 5, 5, channels))
    fine = np.asarray(tf.image.resize(coarse, (24, 20), "bicubic"))[0]
    return np.clip(fine, 12, 243).astype(np.uint8)


STRENGTH = 18 / 30
PILLOW = {
    "identity": lambda image, sign: image,
    "brightness": lambda image, sign: ImageEnhance.Brightness(image).enhance(
        1 + sign * 0.9 * STRENGTH
    ),
    "color": lambda image, sign: ImageEnhance.Color(image).enhance(
        1 + sign * 0.9 * STRENGTH
    ),
    "contrast": lambda image, sign: ImageEnhance.Contrast(image).enhance(
        1 + sign * 0.9 * STRENGTH
    ),
    "sharpness": lambda image, sign: ImageEnhance.Sharpness(image).enhance(
        1 + sign * 0.9 * STRENGTH
    ),
    "posterize": lambda image, sign: ImageOps.posterize(image, 8 - 2),
    "solarize": lambda image, sign: ImageOps.solarize(image, 255 * (1 - STRENGTH)),
    "auto_contrast": lambda image, sign: ImageOps.autocontrast(image),
    "equalize": lambda image, sign: ImageOps.equalize(image),
}


def applied(image: np.ndarray, *names: str, sign=1.0) -> np.ndarray:
    layer = augmentation.RandAugment((0, 1), magnitude=18)
    y = layer.apply(
        tf.constant(image[None].astype("float32") / 255),
        tf.constant([[OPERATIONS.index(name) for name in names]]),
        tf.constant([[sign] * len(names)]),
    )
    return np.asarray(y)[0] * 255


@pytest.mark.parametrize("name", PILLOW)
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_colour_operations_are_pillows(name, sign, channels):
    image = photo(channels)
    pillow = Image.fromarray(image if channels == 3 else image[..., 0])
    expected = np.asarray(PILLOW[name](pillow, sign), "float32").reshape(image.shape)
    # Pillow rounds, at most twice: the image it blends with, and the result.
    np.testing.assert_allclose(applied(image, name, sign=sign), expected, atol=2.01)


def test_equalize_does_not_change_a_plain_image():
    plain = np.full((8, 8, 3), 77, np.uint8)
    np.testing.assert_allclose(applied(plain, "equalize"), plain, atol=1e-3)
    np.testing.assert_allclose(applied(plain, "auto_contrast"), plain, atol=1e-3)


@pytest.mark.parametrize(
    "name, coefficients",
    [
        # Pillow's maps, too, go from the output's pixel to the source's, but count
        # from the corner of the corner pixel.
        ("shear_x", (1, -0.3 * STRENGTH, 0.3 * STRENGTH * 12, 0, 1, 0)),
        ("shear_y", (1, 0, 0, -0.3 * STRENGTH, 1, 0.3 * STRENGTH * 10)),
        ("translate_x", (1, 0, -150 / 331 * 20 * STRENGTH, 0, 1, 0)),
        ("translate_y", (1, 0, 0, 0, 1, -150 / 331 * 24 * STRENGTH)),
    ],
)
def test_geometric_operations_are_pillows(name, coefficients):
    image = photo(3)
    expected = Image.fromarray(image).transform(
        (20, 24), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    inside = np.asarray(
        Image.new("L", (20, 24), 1).transform(
            (20, 24), Image.Transform.AFFINE, coefficients, Image.Resampling.NEAREST
        )
    )
    # Away from the border, where Pillow does not blend with black.
    inside = inside & np.roll(inside, 1, 0) & np.roll(inside, -1, 0)
    inside = inside & np.roll(inside, 1, 1) & np.roll(inside, -1, 1)
    inside[[0, -1]] = inside[:, [0, -1]] = 0
    difference = np.abs(applied(image, name) - np.asarray(expected, "float32"))
    assert difference[inside == 1].max() < 1.01
    assert (inside == 1).sum() > 100


def test_rotation_is_clockwise():
    image = photo(3)
    expected = Image.fromarray(image).rotate(-30 * STRENGTH, Image.Resampling.BILINEAR)
    difference = np.abs(applied(image, "rotate") - np.asarray(expected, "float32"))
    assert difference[6:18, 5:15].max() < 1.01


def test_two_operations_are_applied_in_sequence():
    image = photo(3)
    pillow = Image.fromarray(image)
    expected = PILLOW["solarize"](PILLOW["brightness"](pillow, 1.0), 1.0)
    both = applied(image, "brightness", "solarize")
    # A value next to solarize's threshold may fall on its other side.
    close = np.abs(both - np.asarray(expected, "float32")) < 2.01
    assert close.mean() > 0.97
    # Shifting right, then turning: the mark goes right, then down a little.
    mark = np.zeros((25, 25, 3), np.uint8)
    mark[12, 12] = 255
    weight = applied(mark, "translate_x", "rotate")[..., 0]
    row, column = (np.indices(weight.shape) * weight).sum((1, 2)) / weight.sum()
    shift = 150 / 331 * 25 * STRENGTH
    angle = np.radians(30 * STRENGTH)
    np.testing.assert_allclose(column - 12, shift * np.cos(angle), atol=0.1)
    np.testing.assert_allclose(row - 12, shift * np.sin(angle), atol=0.1)


def test_all_operations_are_drawn_with_equal_probability():
    layer = augmentation.RandAugment((0, 1), seed=1)
    drawn = layer.draw_integers(tf.zeros((14000, 1)), (1,), 0, len(OPERATIONS))
    counts = np.bincount(np.asarray(drawn)[:, 0], minlength=14)
    assert len(counts) == 14 and counts.min() > 850 and counts.max() < 1150
