"""What `fovea inspect` computes, against loops and probes on small networks."""

import keras
import numpy as np
import pytest

import models
from models.anatomy.walk import anatomy
from training.inspect import (
    backward,
    confused,
    embedding,
    filters,
    patches,
    units,
    vanishing,
)
from training.inspect.idle import idle
from training.inspect.maximisation import maximise
from training.inspect.survey import selectivity, survey

ACTIVATIONS = ("relu", "tanh", "layer", "gelu")


def _activate(x, activation, name):
    if activation == "layer":
        return keras.layers.ReLU(name=name)(x)
    return keras.layers.Activation(activation, name=name)(x)


def _small(activation="relu"):
    """Two convolutions, one fused with its activation, one not; max pooling."""
    keras.utils.set_random_seed(1)
    images = keras.Input((8, 9, 2), dtype="uint8", name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalisation")(images)
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="a")(x)
    x = _activate(x, activation, "a_act")
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    fused = "relu" if activation == "layer" else activation
    x = keras.layers.Conv2D(3, 3, activation=fused, use_bias=False, name="b")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(images, keras.layers.Dense(3, name="logits")(x), name="small")


@pytest.fixture(scope="module")
def small():
    return {activation: _small(activation) for activation in ACTIVATIONS}


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 8, 9, 2), np.uint8)


def _correlate(x, kernel):
    """Convolve with loops, "valid": (h, w, c) and (3, 3, c, k)."""
    out = np.zeros((x.shape[0] - 2, x.shape[1] - 2, kernel.shape[3]))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.tensordot(x[i : i + 3, j : j + 3], kernel, 3)
    return out


def _transposed(signal, kernel):
    """Add up the kernels, weighted by the signal: (h, w, k) -> (h + 2, w + 2, c)."""
    out = np.zeros((signal.shape[0] + 2, signal.shape[1] + 2, kernel.shape[2]))
    for i in range(signal.shape[0]):
        for j in range(signal.shape[1]):
            out[i : i + 3, j : j + 3] += kernel @ signal[i, j]
    return out


FUNCTIONS = {
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
}


def _by_hand(model, image, unit, place, method, activation):
    """Forward with switches, then back, as Zeiler and Fergus' section 2.1 says."""
    function, slope = FUNCTIONS["relu" if activation == "layer" else activation]
    a, b = (np.array(model.get_layer(n).kernel, np.float64) for n in "ab")
    x = np.pad(image / 127.5 - 1, ((1, 1), (1, 1), (0, 0)))
    before = _correlate(x, a)
    maps = function(before)
    rows, columns = maps.shape[0] // 2, maps.shape[1] // 2
    windows = maps[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, 4)
    windows = windows.transpose(0, 2, 4, 1, 3).reshape(rows, columns, 4, 4)
    switches = windows.argmax(axis=-1)
    signal = np.zeros((rows - 2, columns - 2, 3))
    signal[(*place, unit)] = 1
    signal = _transposed(signal, b)
    unpooled = np.zeros_like(maps)
    for i, j, channel in np.ndindex(signal.shape):
        down, right = divmod(switches[i, j, channel], 2)
        unpooled[2 * i + down, 2 * j + right, channel] = signal[i, j, channel]
    if method != "gradient" and activation != "tanh":
        unpooled = np.maximum(unpooled, 0)
    if method != "deconvolution":
        unpooled = unpooled * slope(before)
    return _transposed(unpooled, a)[1:-1, 1:-1] / 127.5


@pytest.mark.parametrize("method", backward.METHODS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "layer"])
def test_a_response_led_back_is_what_loops_give(small, noise, activation, method):
    model = small[activation]
    wanted = [(0, (0, 0)), (1, (1, 1)), (2, (0, 1))]
    got = backward.project(
        model, "b", noise[:3], [u for u, _ in wanted], [p for _, p in wanted], method
    )
    for image, (unit, place), found in zip(noise, wanted, got, strict=False):
        expected = _by_hand(model, image, unit, place, method, activation)
        assert np.abs(expected).max() > 1e-5
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_the_methods_differ_where_they_must(small, noise):
    def lead(activation):
        one = small[activation], "b", noise[:1], [0], [(1, 1)]
        return [backward.project(*one, method) for method in backward.METHODS]

    gradient, deconvolution, guided = lead("relu")
    assert not np.allclose(gradient, guided) and not np.allclose(deconvolution, guided)
    gradient, deconvolution, guided = lead("tanh")
    assert np.array_equal(gradient, guided) and not np.allclose(deconvolution, guided)
    gradient, deconvolution, guided = lead("gelu")
    assert not np.allclose(gradient, guided) and not np.allclose(deconvolution, guided)


def test_looking_back_leaves_the_model_as_it_was(small, noise):
    model = small["layer"]
    before = model.predict(noise, verbose=0)
    backward.project(model, "a_act", noise[:2], [0, 1], [(0, 0)] * 2, "guided")
    assert np.array_equal(model.predict(noise, verbose=0), before)
    with pytest.raises(ValueError, match="Received: method=sideways"):
        backward.project(model, "b", noise[:1], [0], [(0, 0)], "sideways")


def test_more_images_than_a_batch_are_led_back_one_by_one(small, noise):
    chosen = np.arange(len(noise)) % 3
    places = [(n % 2, n % 2) for n in range(len(noise))]
    every = backward.project(small["relu"], "b", noise, chosen, places, "guided")
    for n in (0, backward.BATCH_SIZE - 1, backward.BATCH_SIZE, len(noise) - 1):
        (alone,) = backward.project(
            small["relu"], "b", noise[n : n + 1], chosen[[n]], [places[n]], "guided"
        )
        np.testing.assert_allclose(every[n], alone, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("branches", ["add", "concatenate"])
def test_where_branches_meet_their_images_are_added(noise, branches):
    keras.utils.set_random_seed(3)
    images = keras.Input((8, 9, 2), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(images)
    kernels = [keras.layers.Conv2D(4, size, padding="same") for size in (1, 3)]
    arms = [keras.layers.ReLU()(kernel(x)) for kernel in kernels]
    if branches == "add":
        x = keras.layers.Add()(arms)
        kernel = np.random.default_rng(0).normal(size=(1, 1, 4, 2))
        halves = [kernel, kernel]
    else:
        x = keras.layers.Concatenate()(arms)
        kernel = np.random.default_rng(0).normal(size=(1, 1, 8, 2))
        halves = [kernel[:, :, :4], kernel[:, :, 4:]]
    top = keras.layers.Conv2D(2, 1, use_bias=False, name="top")
    whole = keras.Model(images, top(x))
    top.set_weights([kernel])
    alone = []
    for arm, half in zip(arms, halves, strict=True):
        last = keras.layers.Conv2D(2, 1, use_bias=False, name="top")
        alone.append(keras.Model(images, last(arm)))
        last.set_weights([half])
    for method in backward.METHODS:
        one, other, both = (
            backward.project(model, "top", noise[:2], [0, 1], [(3, 4)] * 2, method)
            for model in (*alone, whole)
        )
        np.testing.assert_allclose(both, one + other, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet20", "stn"])
def test_the_networks_can_be_led_back(name):
    model = models.build(name, (32, 32, 3), 10)
    layer = units.with_weights(model, anatomy(model))[3]
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    for method in ("deconvolution", "guided"):
        led = backward.project(model, layer.response, images, [0], [(0, 0)], method)
        assert led.shape == images.shape and np.isfinite(led).all()


# ---- survey and patches


def test_the_strongest_patches_are_those_of_a_search_through_all(small, noise):
    model = small["relu"]
    parts = anatomy(model)
    for layer in units.with_weights(model, parts):
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
def test_what_lies_outside_a_patch_does_not_change_the_response(shape):
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
    layer = units.with_weights(model, parts)[-1]
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


def test_a_field_larger_than_the_image_is_cut_to_it():
    model = models.build("resnet20", (32, 32, 3), 10)
    part = anatomy(model).layer("conv3_3_act")
    assert part.receptive_field.size[0] > 32
    assert patches.field(part, 0, 0, 32, 32) == (0, 32, 0, 32)
    image = np.ones((32, 32, 3), np.uint8)
    piece, inside = patches.cut(
        image, (0, 32, 0, 32), patches.seen(part, 0, 0, 32, 32)
    )
    assert np.array_equal(piece[..., 0] == 1, inside) and not inside.all()


def test_a_survey_in_batches_is_a_survey_at_once(small, noise, monkeypatch):
    model = small["tanh"]
    layers = units.with_weights(model, anatomy(model))
    whole = survey(model, layers, noise)
    monkeypatch.setattr("training.inspect.survey.LARGEST_BATCH", 7)
    for one, other in zip(whole, survey(model, layers, noise), strict=True):
        np.testing.assert_allclose(one.peaks, other.peaks, atol=1e-6)
        assert np.array_equal(one.places, other.places)
        np.testing.assert_allclose(one.high, other.high, atol=1e-6)


def test_a_unit_that_knows_a_class_is_selective(small, noise):
    model = small["relu"]
    (found,) = survey(model, units.with_weights(model, anatomy(model))[:1], noise)
    labels = np.arange(len(noise)) % 2
    found.peaks[:, 0] = labels
    found.peaks[:, 1] = 5
    share = selectivity(found, labels)
    assert share[0] == pytest.approx(1) and share[1] == 0
    assert 0 <= share[2] < 0.5


# ---- dead and saturated units


def _idle_net():
    """Four ReLUs, of which two never fire; three tanhs: free, saturated, still."""
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
    model.get_layer("squashed").set_weights([squashed, np.array([0, 5.0, 0.3])])
    return model


def test_dead_and_saturated_units_are_counted(noise):
    model = _idle_net()
    images = noise[:, :4, :4, :1]
    layers = units.with_weights(model, anatomy(model))
    rectified, squashed, straight = (
        idle(model, found) for found in survey(model, layers, images)
    )
    assert (rectified.activation, rectified.units) == ("relu", 4)
    assert rectified.dead == (1, 2)
    assert rectified.saturated is None
    zeros = (images == 0).mean()
    assert rectified.off == pytest.approx((zeros + 1 + 1 + 0) / 4, abs=1e-6)
    assert squashed.dead == (2,)
    assert squashed.saturated == pytest.approx(1 / 3, abs=1e-6)
    assert straight.activation == "linear" and straight.saturated is None


# ---- activation maximisation


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_climbing_makes_a_unit_respond_more_than_any_noise(small, noise, activation):
    model = small[activation]
    got, before, after = maximise(
        model, "b", [0, 1, 2], [(0, 0), (1, 1), (0, 1)], steps=40
    )
    assert got.shape == (3, 8, 9, 2) and got.min() >= 0 and got.max() <= 255
    part = backward.rewired(model, "b")
    responses = part(noise.astype(np.float32)).numpy().reshape(-1, 3).max(axis=0)
    assert (after > before).all() and (after > responses).all()
    again, _, _ = maximise(model, "b", [0, 1, 2], [(0, 0), (1, 1), (0, 1)], steps=40)
    assert np.array_equal(got, again)


# ---- filters, confusions, embedding, gradients


def test_first_layers_of_all_kinds():
    model = models.build("lenet5", (28, 28, 1), 10)
    found = filters.first_layer(model, anatomy(model))
    assert found.layer == "c1" and found.weights.shape == (6, 5, 5, 1)
    assert not found.is_whitening and found.is_convolution
    model = models.build("speednet", (32, 32, 3), 10)
    found = filters.first_layer(model, anatomy(model))
    assert found.is_whitening and found.weights.shape == (24, 2, 2, 3)
    model = models.build("softmax_regression", (8, 8, 3), 4)
    found = filters.first_layer(model, anatomy(model))
    assert not found.is_convolution and found.weights.shape == (4, 8, 8, 3)
    kernel = np.array(model.get_layer("logits").kernel)
    assert np.array_equal(found.weights[1].ravel(), kernel[:, 1])
    model = models.build("locally_connected", (16, 16, 1), 4)
    assert filters.first_layer(model, anatomy(model)) is None


def test_edges_and_greys_are_counted():
    edge = np.array([[1.0, -1], [1, -1]])
    blob = np.ones((2, 2))
    grey = np.stack([np.stack([f] * 3, axis=-1) for f in (edge, blob)])
    red = np.zeros((1, 2, 2, 3))
    red[..., 0] = edge
    found = filters.Filters("c", np.concatenate([grey, red]), True, False)
    assert found.cancelling == 2 and found.colourless == 2


def test_pairs_that_are_confused_come_with_the_surest_examples():
    logits = np.log([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]])
    found = confused.confused(logits, np.array([1, 1, 0, 2]), "abc", examples=1)
    pairs = [(c.true, c.predicted, c.images, c.back) for c in found]
    assert pairs == [("b", "a", 2, 1), ("a", "b", 1, 2), ("c", "b", 1, 0)]
    assert found[0].examples == (0,)
    assert found[0].probabilities == (pytest.approx(0.8),)


def test_points_of_a_class_come_to_lie_together():
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = random.normal(size=(60, 20)).astype(np.float32)
    features[np.arange(60), labels] += 12
    points = embedding.embed(features)
    assert points.shape == (60, 2) and embedding.agreement(points, labels) == 1
    assert np.array_equal(points, embedding.embed(features))
    assert embedding.agreement(random.normal(size=(60, 2)), labels) < 0.7
    alike = embedding.embed(np.ones((9, 4), np.float32))
    assert alike.shape == (9, 2) and np.isfinite(alike).all()
    with pytest.raises(ValueError, match="at least 8 images"):
        embedding.embed(features[:5])


def test_the_penultimate_features_give_the_logits(small, noise):
    model = small["relu"]
    features = embedding.penultimate(model, noise)
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_allclose(
        features @ kernel + bias, model.predict(noise, verbose=0), atol=1e-5
    )


def test_gradient_norms_are_those_of_finite_differences(small, noise):
    model = _small("tanh")
    labels = np.arange(len(noise)) % 3
    norms = vanishing.gradient_norms(model, noise, labels)
    assert list(norms) == ["a", "b", "logits"]
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kernel = model.get_layer("b").kernel
    value = np.array(kernel)
    slopes = np.zeros_like(value)
    for place in np.ndindex(value.shape):
        ends = []
        for sign in (-1, 1):
            moved = value.copy()
            moved[place] += sign * 1e-2
            kernel.assign(moved)
            ends.append(float(loss_of(labels, model(noise))))
        slopes[place] = (ends[1] - ends[0]) / 2e-2
    assert norms["b"] == pytest.approx(np.sqrt((slopes**2).mean()), rel=0.02)


def test_sigmoids_lose_the_gradient_and_rectifiers_keep_it(digits):
    images, labels = digits.x_train[:512, ::2, ::2], digits.y_train[:512]
    shown = vanishing.demonstrate(images, labels, 10, steps=20)
    kept = {name: row["start"][0] / row["start"][-1] for name, row in shown.items()}
    assert kept["sigmoid"] < 1e-4 and kept["relu"] > 1e-2
    assert len(shown["relu"]["end"]) == vanishing.HIDDEN + 1
    gained = {name: row["loss"][0] - row["loss"][1] for name, row in shown.items()}
    assert gained["relu"] > 0.1 and gained["relu"] > gained["sigmoid"]


# ---- which units


def test_units_are_found_with_their_activations():
    model = models.build("speednet", (32, 32, 3), 10)
    found = units.with_weights(model, anatomy(model))
    assert [(u.layer, u.response) for u in found][:3] == [
        ("whitening", "whitening"),
        ("conv1_1", "conv1_1_act"),
        ("conv1_2", "conv1_2_act"),
    ]
    model = models.build("resnet20", (32, 32, 3), 10)
    responses = {
        u.layer: u.response for u in units.with_weights(model, anatomy(model))
    }
    assert responses["conv1"] == "conv1_act"
    # What is added to the shortcut is not activated before.
    assert responses["conv2_1_b"] == "conv2_1_b_norm"
    model = models.build("lenet5", (28, 28, 1), 10)
    found = units.with_weights(model, anatomy(model))
    assert [(u.response, u.count) for u in found] == [
        ("c1", 6), ("c3", 16), ("c5", 120), ("f6", 84)
    ]  # fmt: skip
    assert [u.is_convolution for u in found] == [True, True, True, False]


def test_a_layer_or_unit_that_is_not_there_is_told():
    model = models.build("lenet5", (28, 28, 1), 10)
    parts = anatomy(model)
    with pytest.raises(ValueError, match=r"c1, s2, c3.*Received: --layer c2"):
        units.named(model, parts, ["c1", "c2"])
    layers = units.named(model, parts, ["c1", "s2", "c1"])
    assert [u.layer for u in layers] == ["c1", "s2"]
    with pytest.raises(ValueError, match="units of c1 are 0 to 5. Received: --unit 6"):
        units.check_numbers(layers, [0, 6])
