"""Units, their strongest patches, and dead and saturated units."""

import keras
import numpy as np
import pytest

from fovea import models
from fovea.models.anatomy.walk import anatomy
from fovea.training.inspect.units import patches, selection
from fovea.training.inspect.units.dead_units import usage
from fovea.training.inspect.units.survey import selectivity, survey


@pytest.mark.slow
def test_the_strongest_patches_equal_those_of_an_exhaustive_search(small, noise):
    model = small["relu"]
    parts = anatomy(model)
    for layer in selection.with_weights(model, parts):
        (found,) = survey(model, [layer], noise)
        maps = keras.Model(model.inputs, model.get_layer(layer.response).output)
        maps = maps.predict(noise, verbose=0)
        for unit in range(layer.count):
            every = [
                (-maps[n, i, j, unit], n, i, j)
                for n, i, j in np.ndindex(maps.shape[:3])
            ]
            best = {}
            for response, n, i, j in sorted(every):
                best.setdefault(n, (response, n, i, j))
            expected = sorted(best.values())[:5]
            got = patches.strongest(found, unit, 5)
            assert [(p.image, p.row, p.column) for p in got] == [
                (n, i, j) for _, n, i, j in expected
            ]
            np.testing.assert_allclose(
                [p.response for p in got], [-r for r, *_ in expected], rtol=1e-5
            )


@pytest.mark.parametrize("shape", [(8, 9), (30, 31)])
def test_pixels_outside_a_patch_do_not_change_the_response(shape):
    """The probe: replace all pixels but the patch's, and each of the patch's rims."""
    keras.utils.set_random_seed(2)
    images = keras.Input((*shape, 2), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(images)
    for depth, strides in enumerate((1, 2)):
        x = keras.layers.Conv2D(
            4, 3, padding="same", strides=strides, name=f"c{depth}"
        )(x)
        x = keras.layers.Activation("tanh")(x)
    model = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    parts = anatomy(model)
    layer = selection.with_weights(model, parts)[-1]
    assert layer.layer == "c1"
    response = keras.Model(model.inputs, model.get_layer(layer.response).output)
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (*shape, 2), np.uint8)
    rows, columns, _ = layer.shape
    part = parts.layer(layer.response)
    for row, column in ((0, 0), (rows // 2, columns // 2), (rows - 1, columns - 1)):
        rectangle = patches.field(part, row, column, *shape)
        box = patches.seen(part, row, column, *shape)
        piece, inside = patches.cut(image, rectangle, box)
        assert piece.shape[:2] == (5, 5)  # 3, and 3 at stride 1 on top
        y0, y1, x0, x1 = box
        assert inside.sum() == (y1 - y0) * (x1 - x0)
        assert np.array_equal(piece[inside].reshape(-1), image[y0:y1, x0:x1].ravel())
        elsewhere = random.integers(0, 256, image.shape, np.uint8)
        elsewhere[y0:y1, x0:x1] = image[y0:y1, x0:x1]
        probes = [image, elsewhere]
        for rim in (np.s_[y0], np.s_[y1 - 1], np.s_[:, x0], np.s_[:, x1 - 1]):
            probe = elsewhere.copy()
            probe[rim] = 255 - probe[rim]
            probes.append(probe)
        got = response.predict(np.stack(probes), verbose=0)[:, row, column]
        assert np.array_equal(got[0], got[1])
        assert all(not np.array_equal(got[0], other) for other in got[2:])


def test_a_field_larger_than_the_image_is_clipped_to_it():
    model = models.build("resnet20", (32, 32, 3), 10)
    part = anatomy(model).layer("conv3_3_act")
    assert part.receptive_field.size[0] > 32
    assert patches.field(part, 0, 0, 32, 32) == (0, 32, 0, 32)
    image = np.ones((32, 32, 3), np.uint8)
    piece, inside = patches.cut(image, (0, 32, 0, 32), patches.seen(part, 0, 0, 32, 32))
    assert np.array_equal(piece[..., 0] == 1, inside) and not inside.all()


def test_the_batch_size_does_not_change_a_survey(small, noise, monkeypatch):
    model = small["tanh"]
    layers = selection.with_weights(model, anatomy(model))
    whole = survey(model, layers, noise)
    monkeypatch.setattr("fovea.training.inspect.units.survey.LARGEST_BATCH", 7)
    for one, other in zip(whole, survey(model, layers, noise), strict=True):
        np.testing.assert_allclose(one.peaks, other.peaks, atol=1e-6)
        assert np.array_equal(one.places, other.places)
        np.testing.assert_allclose(one.high, other.high, atol=1e-6)


def test_a_unit_that_responds_to_one_class_is_selective(small, noise):
    model = small["relu"]
    (found,) = survey(model, selection.with_weights(model, anatomy(model))[:1], noise)
    labels = np.arange(len(noise)) % 2
    found.peaks[:, 0] = labels
    found.peaks[:, 1] = 5
    share = selectivity(found, labels)
    assert share[0] == pytest.approx(1) and share[1] == 0
    assert 0 <= share[2] < 0.5


def _dead_net():
    """Four ReLUs, two of them dead; three tanhs: normal, saturated, constant."""
    images = keras.Input((4, 4, 1), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 1, activation="relu", name="rectified")(x)
    x = keras.layers.Conv2D(3, 1, activation="tanh", name="squashed")(x)
    x = keras.layers.Conv2D(2, 1, name="straight")(x)
    x = keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(x))
    model = keras.Model(images, x)
    rectified = np.array([1.0, -1.0, 1.0, 0.0])
    model.get_layer("rectified").set_weights(
        [rectified.reshape(1, 1, 1, 4), np.array([0.0, 0.0, -2.0, 1.0])]
    )
    squashed = np.zeros((1, 1, 4, 3))
    squashed[0, 0, 0] = [0.5, 0.5, 0]
    model.get_layer("squashed").set_weights([squashed, np.array([0, 2.2, 0.3])])
    return model


def test_dead_and_saturated_units_are_counted(noise):
    model = _dead_net()
    images = noise[:, :4, :4, :1]
    layers = selection.with_weights(model, anatomy(model))
    rectified, squashed, straight = (
        usage(model, found) for found in survey(model, layers, images)
    )
    assert (rectified.activation, rectified.units) == ("relu", 4)
    assert rectified.dead == (1, 2)
    assert rectified.saturated is None
    zeros = (images == 0).mean()
    assert rectified.off == pytest.approx((zeros + 1 + 1 + 0) / 4, abs=1e-6)
    assert squashed.dead == (2,)
    assert squashed.saturated == pytest.approx(1 / 3, abs=1e-6)
    assert straight.activation == "linear" and straight.saturated is None


def test_units_are_found_with_their_activations():
    model = models.build("speednet", (32, 32, 3), 10)
    found = selection.with_weights(model, anatomy(model))
    assert [(u.layer, u.response) for u in found][:3] == [
        ("whitening", "whitening"),
        ("conv1_1", "conv1_1_act"),
        ("conv1_2", "conv1_2_act"),
    ]
    model = models.build("resnet20", (32, 32, 3), 10)
    responses = {
        u.layer: u.response for u in selection.with_weights(model, anatomy(model))
    }
    assert responses["conv1"] == "conv1_act"
    # What is added to the shortcut is not activated before.
    assert responses["conv2_1_b"] == "conv2_1_b_norm"
    model = models.build("lenet5", (28, 28, 1), 10)
    found = selection.with_weights(model, anatomy(model))
    assert [(u.response, u.count) for u in found] == [
        ("c1", 6), ("c3", 16), ("c5", 120), ("f6", 84)
    ]  # fmt: skip
    assert [u.is_convolution for u in found] == [True, True, True, False]


def test_an_unknown_layer_or_unit_is_reported():
    model = models.build("lenet5", (28, 28, 1), 10)
    parts = anatomy(model)
    with pytest.raises(ValueError, match=r"c1, s2, c3.*Received: --layer c2"):
        selection.named(model, parts, ["c1", "c2"])
    layers = selection.named(model, parts, ["c1", "s2", "c1"])
    assert [u.layer for u in layers] == ["c1", "s2"]
    with pytest.raises(ValueError, match=r"0 to 5\. Received: --unit 6"):
        selection.check_numbers(layers, [0, 6])
