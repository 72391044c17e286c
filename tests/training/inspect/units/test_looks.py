"""Filters, confusions, embedding and gradients, on cases with known results."""

import keras
import numpy as np
import pytest

from fovea import models
from fovea.models.anatomy.walk import anatomy
from fovea.training.inspect.analysis import confusions, embedding, gradients
from fovea.training.inspect.units import filters


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


def test_confused_pairs_have_the_most_confident_examples():
    logits = np.log(
        [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]]
    )
    found = confusions.confused(logits, np.array([1, 1, 0, 2]), "abc", examples=1)
    pairs = [(c.true, c.predicted, c.images, c.back) for c in found]
    assert pairs == [("b", "a", 2, 1), ("a", "b", 1, 2), ("c", "b", 1, 0)]
    assert found[0].examples == (0,)
    assert found[0].probabilities == (pytest.approx(0.8),)


def test_points_of_a_class_are_close_to_each_other():
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = random.normal(size=(60, 20)).astype(np.float32)
    features[np.arange(60), labels] += 12
    points = embedding.embed(features)
    assert points.shape == (60, 2) and embedding.agreement(points, labels) == 1
    assert np.array_equal(
        embedding.embed(features[:20]), embedding.embed(features[:20])
    )
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
    model, noise = small["tanh"], noise[:8]
    labels = np.arange(len(noise)) % 3
    norms = gradients.gradient_norms(model, noise, labels)
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


@pytest.mark.slow
def test_gradients_vanish_with_sigmoids_and_not_with_rectifiers(digits):
    images, labels = digits.x_train[:512, ::2, ::2], digits.y_train[:512]
    shown = gradients.demonstrate(images, labels, 10, steps=20)
    kept = {name: row["start"][0] / row["start"][-1] for name, row in shown.items()}
    assert kept["sigmoid"] < 1e-4 and kept["relu"] > 1e-2
    assert len(shown["relu"]["end"]) == gradients.HIDDEN + 1
    gained = {name: row["loss"][0] - row["loss"][1] for name, row in shown.items()}
    assert gained["relu"] > 0.1 and gained["relu"] > gained["sigmoid"]
