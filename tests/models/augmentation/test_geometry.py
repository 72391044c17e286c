"""Flips, shifts, cutout and resampling, compared with direct computations."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from fovea.models import augmentation
from fovea.models.augmentation.random_affine import affine_matrices
from fovea.models.augmentation.resample import resample

# Keras' saving with numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")
RNG = np.random.default_rng(0)


def rows(x) -> set[bytes]:
    return {np.ascontiguousarray(image).tobytes() for image in np.asarray(x)}


def test_flip_mirrors_half_of_the_images():
    x = RNG.uniform(size=(2000, 3, 4, 2)).astype("float32")
    y = np.asarray(augmentation.HorizontalFlip(seed=1)(x, training=True))
    flipped = (y == x[:, :, ::-1]).all((1, 2, 3))
    kept = (y == x).all((1, 2, 3))
    assert (flipped ^ kept).all()
    assert 900 < flipped.sum() < 1100


@pytest.mark.parametrize("padding", ["constant", "reflect"])
def test_shift_is_padding_and_cropping_with_uniform_offsets(padding):
    image = RNG.uniform(size=(6, 7, 2)).astype("float32")
    fill = {"constant_values": -3.0} if padding == "constant" else {}
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode=padding, **fill)
    crops = [padded[i : i + 6, j : j + 7] for i in range(5) for j in range(5)]
    layer = augmentation.RandomShift(2, padding=padding, fill_value=-3.0, seed=1)
    y = np.asarray(layer(np.repeat(image[None], 5000, axis=0), training=True))
    matches = np.array([(y == crop).all((1, 2, 3)) for crop in crops])
    assert (matches.sum(0) == 1).all()
    counts = matches.sum(1)  # 200 expected of each
    assert counts.min() > 140 and counts.max() < 260


def test_cutout_hides_a_square_about_every_pixel():
    image = RNG.uniform(size=(7, 6, 2)).astype("float32")
    possible = set()
    for centre_row in range(7):
        for centre_column in range(6):
            hidden = image.copy()
            top, left = centre_row - 2, centre_column - 2  # size 4: 2 before, 1 after
            hidden[max(top, 0) : top + 4, max(left, 0) : left + 4] = -3
            possible.add(hidden.tobytes())
    layer = augmentation.Cutout(4, fill_value=-3.0, seed=1)
    seen = rows(layer(np.repeat(image[None], 2000, axis=0), training=True))
    assert seen == possible


def looked_up(image, matrix, fill):
    """Resample one image pixel by pixel."""
    height, width, channels = image.shape
    result = np.empty_like(image)

    def pixel(row, column):
        if 0 <= row < height and 0 <= column < width:
            return image[row, column]
        if fill is None:
            return image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
        return np.full(channels, fill)

    for i in range(height):
        for j in range(width):
            place = np.array([j - (width - 1) / 2, i - (height - 1) / 2, 1])
            x, y = np.asarray(matrix, "float64") @ place
            x, y = x + (width - 1) / 2, y + (height - 1) / 2
            column, row = math.floor(x), math.floor(y)
            a, b = x - column, y - row
            result[i, j] = (
                (1 - a) * (1 - b) * pixel(row, column)
                + a * (1 - b) * pixel(row, column + 1)
                + (1 - a) * b * pixel(row + 1, column)
                + a * b * pixel(row + 1, column + 1)
            )
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill", [-1.0, None])
@pytest.mark.parametrize("jit", [False, True])
def test_resample_against_a_loop_over_pixels(channels, fill, jit):
    x = RNG.uniform(size=(6, 7, 9, channels)).astype("float32")
    matrices = RNG.normal(size=(6, 2, 3), scale=(0.8, 0.8, 3)).astype("float32")
    function = tf.function(resample, jit_compile=jit)
    y = function(tf.constant(x), tf.constant(matrices), fill).numpy()
    for image, matrix, result in zip(x, matrices, y, strict=True):
        np.testing.assert_allclose(result, looked_up(image, matrix, fill), atol=2e-5)


def moved(image, **amounts):
    given = {
        "angle": 0,
        "zoom_x": 1,
        "zoom_y": 1,
        "shear": 0,
        "shift_x": 0,
        "shift_y": 0,
    } | amounts
    matrices = affine_matrices(
        **{key: tf.constant([value], tf.float32) for key, value in given.items()}
    )
    return resample(tf.constant(image[None]), matrices, -1.0).numpy()[0]


def test_affine_maps_by_hand():
    image = RNG.uniform(size=(8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(moved(image), image)
    quarter = moved(image, angle=math.pi / 2)
    np.testing.assert_allclose(quarter, np.rot90(image, -1), atol=1e-5)
    half = moved(image, angle=math.pi)
    np.testing.assert_allclose(half, image[::-1, ::-1], atol=1e-5)

    shifted = np.full_like(image, -1)
    shifted[3:, 1:] = image[:-3, :-1]
    np.testing.assert_array_equal(moved(image, shift_x=1, shift_y=3), shifted)

    # Twice as wide: the column half a pixel right of the centre shows what was a
    # quarter of a pixel right of it.
    wide = moved(image, zoom_x=2)
    expected = 0.25 * image[:, 3] + 0.75 * image[:, 4]
    np.testing.assert_allclose(wide[:, 4], expected, atol=1e-5)

    # Sheared by 2: a row half a pixel below the centre moves one pixel right.
    sheared = moved(image, shear=2)
    np.testing.assert_allclose(sheared[4, 1:], image[4, :-1], atol=1e-5)
    np.testing.assert_allclose(sheared[3, :-1], image[3, 1:], atol=1e-5)


def centre_of_mass(x):
    mass = x.sum((1, 2, 3))
    height, width = x.shape[1:3]
    down = (x.sum((2, 3)) * np.arange(height)).sum(1) / mass - (height - 1) / 2
    right = (x.sum((1, 3)) * np.arange(width)).sum(1) / mass - (width - 1) / 2
    return right, down


def test_affine_amounts_are_uniform_within_their_bounds():
    image = np.zeros((2000, 20, 40, 1), "float32")
    image[:, 9:11, 19:21] = 1
    layer = augmentation.RandomAffine(shift=0.1, seed=1)
    right, down = centre_of_mass(np.asarray(layer(image, training=True)))
    for moved_by, most in ((right, 4), (down, 2)):
        assert np.abs(moved_by).max() <= most + 1e-4
        counts, _ = np.histogram(moved_by, bins=4, range=(-most, most))
        assert counts.min() > 400
    assert abs(np.corrcoef(right, down)[0, 1]) < 0.1


def test_affine_fills_with_the_fill_value():
    layer = augmentation.RandomAffine(shift=0.5, rotation=90, fill_value=-7.0, seed=1)
    y = np.asarray(layer(np.ones((50, 8, 8, 3), "float32"), training=True))
    assert y.min() == -7 and y.max() <= 1 + 1e-6


def test_resized_crop_shows_rectangles_within_their_bounds():
    height, width = 24, 36
    row, column = np.mgrid[:height, :width].astype("float32")
    image = np.stack([row, column], axis=-1)
    layer = augmentation.RandomResizedCrop(area=(0.2, 0.6), ratio=(0.5, 2.0), seed=1)
    y = np.asarray(layer(np.repeat(image[None], 500, axis=0), training=True))
    # Inside, the coordinates that are shown grow evenly: by the crop's size.
    middle_row, middle_column = height // 2, width // 2
    tall = y[:, middle_row + 1, middle_column, 0] - y[:, middle_row, middle_column, 0]
    wide = y[:, middle_row, middle_column + 1, 1] - y[:, middle_row, middle_column, 1]
    tall, wide = tall * height, wide * width
    whole = np.isclose(tall, height, atol=1e-2) | np.isclose(wide, width, atol=1e-2)
    area, ratio = tall * wide / (height * width), wide / tall
    assert (area < 0.6 + 1e-3).all() and (area[~whole] > 0.2 - 1e-3).all()
    assert (ratio[~whole] > 0.5 - 1e-2).all() and (ratio[~whole] < 2 + 1e-2).all()
    assert area.max() - area.min() > 0.3 and ratio.max() / ratio.min() > 2
    # Nothing but the image is shown, and all of it is shown at times.
    assert y[..., 0].min() >= 0 and y[..., 0].max() <= height - 1
    assert y[..., 0].min() < 1 and y[..., 0].max() > height - 2


class TestAlternatingFlip:
    x = RNG.integers(0, 256, (1000, 8, 8, 3)).astype("float32") / 127.5 - 1

    def flipped(self, layer, x):
        y = np.asarray(keras.ops.cast(layer(x, training=True), "float32"))
        x = np.asarray(keras.ops.cast(x, "float32"))
        mirrored = (y == x[:, :, ::-1]).all((1, 2, 3))
        assert (mirrored ^ (y == x).all((1, 2, 3))).all()
        return mirrored

    def layer(self, **kwargs):
        return augmentation.AlternatingFlip((-1, 1), seed=1, **kwargs)

    def test_every_image_alternates(self):
        layer = self.layer()
        epochs = []
        for epoch in range(4):
            layer.set_epoch(epoch)
            epochs.append(self.flipped(layer, self.x))
        np.testing.assert_array_equal(epochs[0], ~epochs[1])
        np.testing.assert_array_equal(epochs[0], epochs[2])
        np.testing.assert_array_equal(epochs[1], epochs[3])
        assert 430 < epochs[0].sum() < 570

    def test_whatever_the_order_batch_compilation_and_precision(self):
        layer = self.layer()
        layer.set_epoch(0)
        flipped = self.flipped(layer, self.x)
        order = RNG.permutation(len(self.x))
        np.testing.assert_array_equal(
            self.flipped(layer, self.x[order]), flipped[order]
        )
        np.testing.assert_array_equal(self.flipped(layer, self.x[:7]), flipped[:7])
        compiled = tf.function(layer, jit_compile=True)
        np.testing.assert_array_equal(self.flipped(compiled, self.x), flipped)
        half = self.layer(dtype="mixed_bfloat16")
        half.set_epoch(0)
        x = keras.ops.cast(self.x, "bfloat16")
        np.testing.assert_array_equal(self.flipped(half, x), flipped)

    def test_seed_decides_the_halves(self):
        halves = []
        for seed in (1, 2, 999_999_999):
            layer = augmentation.AlternatingFlip((-1, 1), seed=seed)
            halves.append(np.asarray(layer.halves(tf.constant(self.x))))
        for i in range(3):
            agree = (halves[i] == halves[i - 1]).mean()
            assert 0.4 < agree < 0.6

    def test_random_while_the_epoch_is_unknown(self):
        layer = self.layer()
        first, second = (self.flipped(layer, self.x) for _ in range(2))
        assert 0.4 < (first == second).mean() < 0.6
        layer.set_epoch(3)
        layer.set_epoch(None)
        third = self.flipped(layer, self.x)
        assert 0.4 < (first == third).mean() < 0.6

    @pytest.mark.slow
    @pytest.mark.parametrize("jit", [False, True])
    def test_callback_sets_the_epoch(self, jit, tmp_path):
        inputs = keras.Input((8, 8, 3))
        layer = self.layer()
        inner = keras.Model(inputs, layer(inputs))
        pooled = keras.layers.GlobalAveragePooling2D()(inner(inputs))
        model = keras.Model(inputs, keras.layers.Dense(3)(pooled))
        model.compile("sgd", "mse", jit_compile=jit)
        epochs = []
        path = tmp_path / "model.keras"

        def note(epoch, logs):
            epochs.append(self.flipped(layer, self.x))
            model.save(path)

        model.fit(
            self.x,
            np.zeros((len(self.x), 3)),
            batch_size=500,
            epochs=5,
            initial_epoch=2,
            verbose=0,
            callbacks=[
                augmentation.AlternateFlips(),
                keras.callbacks.LambdaCallback(on_epoch_end=note),
            ],
        )
        np.testing.assert_array_equal(epochs[0], ~epochs[1])
        np.testing.assert_array_equal(epochs[0], epochs[2])
        assert int(layer.clock.state.value[1]) == 0
        # A model saved in between has its epoch.
        loaded = keras.saving.load_model(path).layers[1].layers[1]
        np.testing.assert_array_equal(self.flipped(loaded, self.x), epochs[2])
