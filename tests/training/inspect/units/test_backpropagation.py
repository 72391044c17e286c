"""Responses backpropagated to the pixels, compared with explicit loops."""

import keras
import numpy as np
import pytest

from fovea import models
from fovea.models.anatomy.walk import anatomy
from fovea.training.inspect.units import backpropagation, selection
from fovea.training.inspect.units.maximisation import maximise


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
    """Forward with switches, then backward, as in section 2.1 of Zeiler and Fergus."""
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


@pytest.mark.parametrize("method", backpropagation.METHODS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "layer"])
def test_a_backpropagated_response_equals_that_of_loops(
    small, noise, activation, method
):
    model = small[activation]
    wanted = [(0, (0, 0)), (1, (1, 1)), (2, (0, 1))]
    got = backpropagation.backpropagate(
        model, "b", noise[:3], [u for u, _ in wanted], [p for _, p in wanted], method
    )
    for image, (unit, place), found in zip(noise, wanted, got, strict=False):
        expected = _by_hand(model, image, unit, place, method, activation)
        assert np.abs(expected).max() > 1e-5
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_the_methods_differ_by_activation(small, noise):
    def signals(activation):
        one = small[activation], "b", noise[:1], [0], [(1, 1)]
        return [
            backpropagation.backpropagate(*one, method)
            for method in backpropagation.METHODS
        ]

    gradient, deconvolution, guided = signals("relu")
    assert not np.allclose(gradient, guided) and not np.allclose(deconvolution, guided)
    gradient, deconvolution, guided = signals("tanh")
    assert np.array_equal(gradient, guided) and not np.allclose(deconvolution, guided)
    gradient, deconvolution, guided = signals("gelu")
    assert not np.allclose(gradient, guided) and not np.allclose(deconvolution, guided)


def test_backpropagating_does_not_change_the_model(small, noise):
    model = small["layer"]
    before = model.predict(noise, verbose=0)
    backpropagation.backpropagate(
        model, "a_act", noise[:2], [0, 1], [(0, 0)] * 2, "guided"
    )
    assert np.array_equal(model.predict(noise, verbose=0), before)
    with pytest.raises(ValueError, match="Received: method=sideways"):
        backpropagation.backpropagate(model, "b", noise[:1], [0], [(0, 0)], "sideways")


def test_several_batches_of_images_are_backpropagated_independently(small, noise):
    chosen = np.arange(len(noise)) % 3
    places = [(n % 2, n % 2) for n in range(len(noise))]
    every = backpropagation.backpropagate(
        small["relu"], "b", noise, chosen, places, "guided"
    )
    for n in (
        0,
        backpropagation.BATCH_SIZE - 1,
        backpropagation.BATCH_SIZE,
        len(noise) - 1,
    ):
        (alone,) = backpropagation.backpropagate(
            small["relu"], "b", noise[n : n + 1], chosen[[n]], [places[n]], "guided"
        )
        np.testing.assert_allclose(every[n], alone, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("branches", ["add", "concatenate"])
def test_the_signals_of_branches_are_added(noise, branches):
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
    for method in backpropagation.METHODS:
        one, other, both = (
            backpropagation.backpropagate(
                model, "top", noise[:2], [0, 1], [(3, 4)] * 2, method
            )
            for model in (*alone, whole)
        )
        np.testing.assert_allclose(both, one + other, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet20", "stn"])
def test_every_family_can_be_backpropagated(name):
    model = models.build(name, (32, 32, 3), 10)
    layer = selection.with_weights(model, anatomy(model))[3]
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    for method in ("deconvolution", "guided"):
        signal = backpropagation.backpropagate(
            model, layer.response, images, [0], [(0, 0)], method
        )
        assert signal.shape == images.shape and np.isfinite(signal).all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_activation_maximisation_increases_a_unit_s_response(small, activation):
    model = small[activation]
    got, before, after = maximise(
        model, "b", [0, 1, 2], [(0, 0), (1, 1), (0, 1)], steps=40
    )
    assert got.shape == (3, 8, 9, 2) and got.min() >= 0 and got.max() <= 255
    assert (after > before + 0.2).all()
    again, _, _ = maximise(model, "b", [0, 1, 2], [(0, 0), (1, 1), (0, 1)], steps=40)
    assert np.array_equal(got, again)
