"""Muon: orthogonal steps for convolutions, Nesterov momentum for the rest."""

import keras
import numpy as np
import pytest

from fovea.training.loop.optimization.muon import Muon, orthogonalise


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("shape", [(8, 8), (27, 16), (16, 40)])
def test_singular_values_become_about_one_and_directions_are_kept(shape):
    matrix = draw(*shape)
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    result = np.asarray(orthogonalise(100 * matrix))
    values = np.diag(u.T @ result @ v.T)
    # Three rounds leave the smallest of a square matrix short of one.
    assert values[:-2].min() > 0.3 and values.max() < 1.3
    np.testing.assert_allclose(u @ np.diag(values) @ v, result, atol=1e-4)


def variables(*shapes):
    return [
        keras.Variable(draw(*shape), name=f"v{i}") for i, shape in enumerate(shapes)
    ]


def test_a_convolution_steps_by_the_learning_rate_whatever_the_gradient():
    (kernel,) = variables((3, 3, 4, 6))
    before = np.asarray(kernel)
    optimizer = Muon(0.1)
    optimizer.apply([1e-3 * draw(3, 3, 4, 6)], [kernel])
    step = (before - np.asarray(kernel)).reshape(-1, 6)
    values = np.linalg.svd(step, compute_uv=False)
    assert values.min() > 0.03 and values.max() < 0.13


def test_unit_filters_scale_the_kernel_before_the_step():
    (kernel,) = variables((3, 3, 4, 6))
    kernel.assign(50 * kernel)
    Muon(1e-6, unit_filters=True).apply([draw(3, 3, 4, 6)], [kernel])
    length = np.linalg.norm(np.asarray(kernel))
    assert length == pytest.approx(6**0.5, rel=1e-4)


def test_the_rest_is_keras_sgd_with_nesterov_momentum():
    ours, theirs = variables((5, 3), (4,)), variables((5, 3), (4,))
    muon = Muon(0.2, dense_factor=0.5, vector_factor=0.5, other_momentum=0.9)
    sgd = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    for _ in range(3):
        gradients = [draw(5, 3), draw(4)]
        muon.apply(gradients, ours)
        sgd.apply(gradients, theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_dense_kernels_and_vectors_have_separate_factors():
    dense, vector = variables((5, 3), (4,))
    before = np.asarray(dense), np.asarray(vector)
    optimizer = Muon(0.1, dense_factor=2, vector_factor=30, other_momentum=0.0)
    optimizer.apply(
        [np.ones((5, 3), "float32"), np.ones(4, "float32")], [dense, vector]
    )
    np.testing.assert_allclose(before[0] - np.asarray(dense), 0.2, rtol=1e-4)
    np.testing.assert_allclose(before[1] - np.asarray(vector), 3.0, rtol=1e-4)


def test_its_settings_survive_serialisation():
    optimizer = Muon(0.3, momentum=0.7, dense_factor=2, unit_filters=True)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("name", ["momentum", "other_momentum"])
def test_a_momentum_out_of_range_is_rejected(name):
    with pytest.raises(ValueError, match=f"Received: {name}=1$"):
        Muon(**{name: 1})
