"""Curves of invariance, on nets with known invariances, and their figure."""

import re

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from fovea.training.inspect.analysis import invariance
from fovea.training.inspect.drawing import invariance_plot
from fovea.training.runs import directory as runs


def _net(body):
    """Classify images as bright (1) or dark (0) by the output of `body`."""
    images = layers.Input((16, 16, 1), dtype="uint8")
    x = body(layers.Rescaling(1 / 255)(images))
    model = keras.Model(images, layers.Dense(2, name="logits")(x))
    model.get_layer("logits").set_weights([np.array([[-60, 60]]), np.array([3, -3])])
    return model


@pytest.fixture(scope="module")
def pixels():
    """Squares in the middle: a large one in class 1, a small one in class 0."""
    images = np.zeros((6, 16, 16, 1), np.uint8)
    images[:3, 7:9, 7:9] = 200
    images[3:, 6:10, 6:10] = 250
    return images, np.array([0, 0, 0, 1, 1, 1])


@pytest.fixture(scope="module")
def averaging(pixels):
    return invariance.curves(_net(layers.GlobalAveragePooling2D()), *pixels)


@pytest.fixture(scope="module")
def one_pixel(pixels):
    crop = layers.Cropping2D(((6, 9), (6, 9)))
    net = _net(lambda x: layers.Flatten()(crop(x)))
    return invariance.curves(net, *pixels)


def test_a_global_average_is_invariant_to_shifts_and_turns(averaging):
    for change in ("shift", "rotation"):
        rows = averaging[change]
        assert [row["accuracy"] for row in rows] == [1] * len(rows)
        probabilities = [row["probability"] for row in rows]
        # Shifted by whole pixels inside a black border the sum stays the same; turned,
        # it is interpolated.
        spread = 1e-6 if change == "shift" else 0.15
        assert np.ptp(probabilities) < spread


def test_no_images_are_an_error(pixels):
    net = _net(layers.GlobalAveragePooling2D())
    with pytest.raises(ValueError, match="Received: 0 images"):
        invariance.curves(net, pixels[0][:0], [])


def test_it_is_not_invariant_to_scale(averaging):
    at = {row["strength"]: row["accuracy"] for row in averaging["scaling"]}
    assert at[1] == 1
    assert at[0.5] == 0.5  # all are classified as dark


def test_one_pixel_is_invariant_only_to_the_identity(
    one_pixel,
):
    found = one_pixel
    assert found["shift"][0] == {
        "strength": 0,
        "accuracy": 1,
        "probability": pytest.approx(1, abs=0.06),
    }
    assert found["shift"][-1]["accuracy"] == 0.5
    assert found["scaling"][0]["accuracy"] == 0.5


def test_every_curve_includes_the_unchanged_images(averaging):
    unchanged = {
        (row["accuracy"], row["probability"])
        for change, rows in averaging.items()
        for row in rows
        if row["strength"] == (1 if change == "scaling" else 0)
    }
    assert len(unchanged) == 1
    assert list(averaging) == ["shift", "rotation", "scaling", "noise"]


def test_images_are_shifted_and_rotated_in_both_directions():
    image = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), np.uint8)
    shifted = [view.tolist() for view in invariance.changed(image, "shift", 2)]
    wider = np.pad(image, ((0, 0), (2, 2), (2, 2), (0, 0)), "edge")
    for y, x in ((2, 4), (2, 0), (4, 2), (0, 2)):
        assert wider[:, y : y + 9, x : x + 9].tolist() in shifted
    assert len(shifted) == 4
    turned = list(invariance.changed(image, "rotation", 90))
    expected = [np.rot90(image, turns, (1, 2)) for turns in (1, 3)]
    assert {view.tobytes() for view in turned} == {view.tobytes() for view in expected}


def test_scaling_is_about_the_centre():
    image = np.zeros((1, 12, 12, 1), np.uint8)
    image[0, 4:8, 4:8] = 255
    (half,) = invariance.changed(image, "scaling", 0.5)
    (double,) = invariance.changed(image, "scaling", 2)
    assert np.array_equal(half, half[:, ::-1, ::-1])
    assert (half[0, 5:7, 5:7] == 255).all()
    assert half.sum() == image.sum() / 4
    assert (double[0, 3:9, 3:9] == 255).all()


def test_noise_has_its_strength_and_is_the_same_for_every_model():
    grey = np.full((4, 50, 50, 3), 128, np.uint8)
    (noisy,) = invariance.changed(grey, "noise", 16)
    (again,) = invariance.changed(grey, "noise", 16)
    assert np.array_equal(noisy, again)
    assert noisy.std() == pytest.approx(16, rel=0.02)
    assert noisy.mean() == pytest.approx(128, abs=0.3)


def test_shifts_follow_the_size_of_the_image():
    assert invariance.strengths("shift", 28) == (0, 1, 2, 3, 4, 6, 8)
    assert invariance.strengths("shift", 224)[-1] == 64


def test_the_results_are_added_to_the_run_s_metrics(averaging, tmp_path):
    runs.write_json(tmp_path / "metrics.json", {"test": {"accuracy": 0.5}})
    invariance.record(tmp_path, averaging, 6, "test")
    metrics = runs.read_metrics(tmp_path)
    assert metrics["test"] == {"accuracy": 0.5}
    assert metrics["invariance"] == {"split": "test", "images": 6, **averaging}


@pytest.mark.slow
def test_several_models_are_drawn_in_one_figure(averaging, one_pixel, tmp_path):
    results = {"averaging": averaging, "one pixel": one_pixel}
    drawn = invariance_plot.svg(results)
    words = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    for word in ("Shift", "Rotation", "Scaling", "Noise", "averaging", "one pixel"):
        assert word in words
    assert "averaging: accuracy 100% on unchanged images, 100% at shift" in drawn
    invariance_plot.png(tmp_path / "curves.png", results)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1320, 660)
    with pytest.raises(ValueError, match="Received: 7 models"):
        invariance_plot.svg({str(number): averaging for number in range(7)})
