"""Layers with faster training on CPUs give the same results as Keras' own."""

import keras
import numpy as np
import pytest

from fovea import models
from fovea.models.layers import conv_2d
from fovea.models.layers.batch_normalization import BatchNormalization
from fovea.models.layers.conv_2d import Conv2D, winograd
from fovea.models.layers.quick_gelu import quick_gelu


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def gradients(layer, images):
    """Return a layer's training outputs, and the gradients of their weighted sum."""
    import tensorflow as tf

    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, training=True)
        total = tf.reduce_sum(outputs * draw(*outputs.shape, seed=1))
    sources = [images, *[v.value for v in layer.trainable_variables]]
    return [outputs, *tape.gradient(total, sources)]


def twins(own, keras_own, images):
    """Give two layers the same weights."""
    for layer in (own, keras_own):
        layer.build(images.shape)
    weights = [np.abs(draw(*w.shape, seed=2)) for w in own.get_weights()]
    for layer in (own, keras_own):
        layer.set_weights(weights)


def assert_close(actual, expected):
    scale = np.abs(np.asarray(expected)).max()
    np.testing.assert_allclose(actual, expected, atol=3e-5 * scale)


# Sides that are not a multiple of a tile, smaller than one, and unequal.
@pytest.mark.parametrize("height, width", [(8, 8), (7, 7), (1, 2), (3, 13), (9, 4)])
def test_winograd_equals_the_convolution(height, width):
    images, kernel = draw(3, height, width, 5), draw(3, 3, 5, 6)
    expected = keras.ops.conv(images, kernel, padding="same")
    assert_close(winograd(images, kernel), expected)


@pytest.mark.parametrize("use_bias", [True, False])
def test_a_wide_convolution_and_its_gradients_are_keras_own(use_bias, monkeypatch):
    used = []
    monkeypatch.setattr(
        conv_2d, "winograd", lambda *a: used.append(1) or winograd(*a), raising=True
    )
    images = draw(2, 6, 7, 64)
    arguments = {"use_bias": use_bias, "activation": "tanh", "padding": "same"}
    own = Conv2D(256, 3, **arguments)
    theirs = keras.layers.Conv2D(256, 3, **arguments)
    twins(own, theirs, images / 100)
    for one, other in zip(
        gradients(own, images / 100), gradients(theirs, images / 100), strict=True
    ):
        assert_close(one, other)
    assert used  # or the test compares Keras with itself


@pytest.mark.parametrize(
    "filters, arguments",
    [
        (8, {}),
        (256, {"strides": 2}),
        (256, {"dilation_rate": 2}),
        (256, {"padding": "valid"}),
        (256, {"groups": 2}),
        (256, {"dtype": "mixed_bfloat16"}),
    ],
)
def test_other_convolutions_are_computed_by_keras(filters, arguments, monkeypatch):
    def fail(*_):
        raise AssertionError("Winograd's algorithm does not apply here")

    monkeypatch.setattr(conv_2d, "winograd", fail)
    layer = Conv2D(filters, 3, **{"padding": "same", **arguments})
    assert layer(draw(1, 6, 6, 64), training=True).shape[-1] == filters


def test_inference_is_the_ordinary_convolution():
    # So that an exported graph has one operation that a server can fuse.
    import tensorflow as tf

    layer = Conv2D(256, 3, padding="same")
    layer.build((None, 6, 6, 64))
    graph = tf.function(lambda x: layer(x, training=False)).get_concrete_function(
        tf.TensorSpec((None, 6, 6, 64))
    )
    kinds = {operation.type for operation in graph.graph.get_operations()}
    assert "Conv2D" in kinds and "BatchMatMulV2" not in kinds


@pytest.mark.parametrize("scale, center", [(True, True), (False, True), (True, False)])
def test_batch_normalisation_is_keras_own(scale, center):
    images = 3 + 2 * draw(4, 5, 6, 7)
    arguments = {"scale": scale, "center": center, "epsilon": 1e-12, "momentum": 0.4}
    own = BatchNormalization(**arguments)
    theirs = keras.layers.BatchNormalization(**arguments)
    twins(own, theirs, images)
    for one, other in zip(
        gradients(own, images), gradients(theirs, images), strict=True
    ):
        assert_close(one, other)
    for one, other in zip(own.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(own(images), theirs(images), rtol=1e-5, atol=1e-5)


def test_frozen_batch_normalisation_keeps_its_statistics():
    layer = BatchNormalization()
    layer.build((None, 4, 4, 3))
    layer.trainable = False
    before = layer.get_weights()
    layer(draw(8, 4, 4, 3), training=True)
    for one, other in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: Conv2D(256, 3, padding="same", **kw),
        lambda **kw: BatchNormalization(**kw),
    ],
)
def test_they_train_under_xla_as_without_it(make):
    images = draw(4, 6, 6, 64)
    results = []
    for jit in (False, True):
        keras.utils.set_random_seed(0)
        entry = keras.Input((6, 6, 64))
        model = keras.Model(entry, make()(entry))
        model.compile("sgd", "mse", jit_compile=jit)
        loss = model.train_on_batch(images, 0 * model(images))
        results.append([loss, *model.get_weights()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_quick_gelu_approximates_gelu():
    x = np.linspace(-8, 8, 1001, dtype="float32")
    expected = keras.ops.gelu(x, approximate=False)
    np.testing.assert_allclose(quick_gelu(x), expected, atol=0.021)
    assert np.abs(np.asarray(quick_gelu(x)) - expected).max() > 0.02


def test_a_network_with_quick_gelu_survives_save_and_load(tmp_path):
    model = models.build("speednet", (12, 12, 3), 4, activation="quick_gelu")
    images = np.arange(2 * 12 * 12 * 3, dtype="uint8").reshape(2, 12, 12, 3)
    model.save(tmp_path / "it.keras")
    loaded = keras.saving.load_model(tmp_path / "it.keras")
    np.testing.assert_array_equal(loaded(images), model(images))
