"""Integrated gradients and occlusion, compared with explicit sums."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from fovea.training.attribution import inputs
from fovea.training.attribution.integrated_gradients import (
    explainer,
    integrated_gradients,
)
from fovea.training.attribution.occlusion import occlusion
from fovea.training.runs.load import load_model

SHAPE = (5, 6, 2)


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 4)) / 8, rng.normal(size=(4, 3))


@pytest.fixture(scope="module")
def net(weights):
    """Logits = tanh(pixels / 255 @ first) @ second."""
    images = layers.Input(SHAPE, dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(images))
    x = layers.Dense(4, activation="tanh", use_bias=False)(x)
    model = keras.Model(images, layers.Dense(3, use_bias=False, name="logits")(x))
    model.set_weights(weights)
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (3, *SHAPE), np.uint8)


def test_integrated_gradients_are_a_riemann_sum_of_the_gradient(net, weights, images):
    first, second = weights
    class_ids = [2, 0, 1]
    found = integrated_gradients(net, images, class_ids, steps=300)
    for image, class_id, shares in zip(images, class_ids, found, strict=True):
        x = image.ravel() / 255
        way = np.linspace(0, 1, 20_001)[1:, None] * x
        slope = (1 - np.tanh(way @ first) ** 2) * second[:, class_id]
        expected = x * (slope @ first.T).mean(axis=0)
        np.testing.assert_allclose(shares.ravel(), expected, atol=1e-4)


@pytest.mark.slow
def test_the_attributions_of_a_trained_net_add_up_to_its_logit(run_directory, digits):
    """Completeness: the sum is the logit minus that of a black image."""
    model = load_model(run_directory)
    images = digits.x_test[:6]
    logits = model.predict(images, verbose=0)
    black = model.predict(np.zeros_like(images), verbose=0)
    for class_ids in (logits.argmax(axis=1), np.full(6, 3)):
        shares = integrated_gradients(model, images, class_ids, steps=100)
        rows = np.arange(6)
        expected = logits[rows, class_ids] - black[rows, class_ids]
        np.testing.assert_allclose(shares.sum(axis=(1, 2, 3)), expected, atol=0.05)
        assert np.abs(expected).max() > 1


def test_more_steps_reduce_the_error_of_the_sum(net, images):
    logits = net.predict(images, verbose=0)[:, 0]  # that of a black image is 0

    def error(steps):
        shares = integrated_gradients(net, images, 0, steps)
        return np.abs(shares.sum(axis=(1, 2, 3)) - logits).max()

    assert error(1) > 10 * error(10) > 100 * error(100)
    with pytest.raises(ValueError, match="Received: steps=0"):
        error(0)


def test_heat_is_the_evidence_for_a_class_averaged_over_neighbours(net, images):
    ids = np.array([2, 0, 1])
    logits, class_ids, heat = explainer(net, steps=9)(tf.constant(images), ids)
    np.testing.assert_allclose(logits, net.predict(images, verbose=0), atol=1e-5)
    assert list(class_ids) == [2, 0, 1]
    shares = integrated_gradients(net, images, ids, steps=9).sum(axis=3)
    padded = np.pad(np.maximum(shares, 0), ((0, 0), (1, 1), (1, 1)))
    weights = np.outer([1, 2, 1], [1, 2, 1])
    expected = sum(
        weights[y, x] * padded[:, y : y + 5, x : x + 6]
        for y in range(3)
        for x in range(3)
    )
    expected /= expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(heat, expected, atol=1e-5)


def test_graph_and_eager_calls_agree_for_any_batch_size(net, images, monkeypatch):
    eager = explainer(net)(tf.constant(images))
    monkeypatch.setattr(inputs, "MOST_IMAGES", 5)
    spec = tf.TensorSpec((None, *SHAPE), tf.uint8)
    traced = tf.function(explainer(net), input_signature=[spec])
    for one, other in zip(traced(images), eager, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert eager[1].numpy().tolist() == eager[0].numpy().argmax(axis=1).tolist()
    assert traced(images[:0])[2].shape == (0, *SHAPE[:2])


def test_black_images_have_no_heat(net):
    heat = explainer(net)(tf.zeros((1, *SHAPE), tf.uint8))[2].numpy()
    assert not heat.any()


@pytest.mark.parametrize(("size", "stride"), [(2, 1), (3, 2), (5, 5), (1, 1)])
def test_occlusion_is_the_drop_of_the_probability_per_hidden_square(
    net, weights, images, size, stride
):
    found = occlusion(net, images, [1, 0, 2], size, stride)
    assert found.shape == (3, *SHAPE[:2])
    rows = sorted({*range(0, 5 - size, stride), 5 - size})
    columns = sorted({*range(0, 6 - size, stride), 6 - size})
    for image, class_id, values in zip(images, [1, 0, 2], found, strict=True):

        def probability(picture, class_id=class_id):
            logits = np.tanh(picture.ravel() / 255 @ weights[0]) @ weights[1]
            return np.exp(logits[class_id]) / np.exp(logits).sum()

        falls = [[[] for _ in range(6)] for _ in range(5)]
        for y in rows:
            for x in columns:
                hidden = image.copy()
                mean = np.round(image.mean(axis=(0, 1)))
                hidden[y : y + size, x : x + size] = mean
                for i in range(y, y + size):
                    for j in range(x, x + size):
                        falls[i][j].append(probability(image) - probability(hidden))
        expected = [[np.mean(each) for each in row] for row in falls]
        np.testing.assert_allclose(values, expected, atol=1e-5)


def test_occlusion_finds_the_only_relevant_pixel(net, images):
    """The output of a net that depends on one pixel ignores all others."""
    first = np.zeros((60, 4))
    first[(3 * 6 + 1) * 2, 0] = 4  # row 3, column 1, channel 0
    model = keras.models.clone_model(net)
    model.set_weights([first, np.eye(4)[:, :3] * 5])
    image = np.zeros((1, *SHAPE), np.uint8)
    image[0, 3, 1] = 255
    falls = occlusion(model, image, 0, size=1, stride=1)[0]
    assert np.unravel_index(falls.argmax(), falls.shape) == (3, 1)
    assert falls[3, 1] > 0.3
    assert np.count_nonzero(np.abs(falls) > 1e-6) == 1


@pytest.mark.parametrize(("size", "stride"), [(6, 1), (0, 1), (2, 3), (2, 0)])
def test_a_square_larger_than_the_image_is_rejected(net, images, size, stride):
    with pytest.raises(ValueError, match=f"size={size}, stride={stride}"):
        occlusion(net, images, None, size, stride)
