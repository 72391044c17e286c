"""The signature `feature_maps`, compared with convolutions computed by hand."""

import numpy as np
import pytest

from fovea import models
from fovea.training.exporting.feature_maps import first_convolution, maps_function


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("lenet5", {}, ("c1", "c1")),
        ("lenet5", {"normalisation": "batch"}, ("c1", "c1_act")),
        ("speednet", {}, ("whitening", "whitening")),
        ("speednet", {"whitening_bias": True}, ("whitening", "whitening_act")),
        ("stn", {}, ("conv1", "conv1")),
        ("mlp", {}, None),
    ],
)
def test_the_first_convolution_is_found(name, options, expected):
    model = models.build(name, (28, 28, 1), 10, **options)
    assert first_convolution(model) == expected
    assert (maps_function(model) is None) == (expected is None)


def test_maps_are_the_activated_convolution(images):
    model = models.build("lenet5", (28, 28, 1), 10)
    outputs = maps_function(model)(images)
    assert [name.decode() for name in outputs["layer"].numpy()] == ["c1"] * 3
    # LeNet-5's input runs from -0.1 to 1.175, and c1 pads it by two pixels.
    pixels = images.astype(np.float64) / 255 * 1.275 - 0.1
    frame = np.pad(pixels[..., 0], ((0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(frame, (5, 5), axis=(1, 2))
    kernel, bias = (each.numpy() for each in model.get_layer("c1").weights)
    expected = np.tanh(np.einsum("nyxij,ijf->nyxf", windows, kernel[:, :, 0]) + bias)
    maps = outputs["maps"].numpy()
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=1e-5)
