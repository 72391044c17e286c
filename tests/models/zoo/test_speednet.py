"""SpeedNet's whitening and identity start."""

import keras
import numpy as np
import pytest

from fovea.models.zoo.speednet import speednet, whiten


@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1)])
def test_whitened_patches_are_uncorrelated_and_of_variance_one(shape):
    generator = np.random.default_rng(0)
    # Neighbouring pixels of natural images are similar.
    images = generator.integers(0, 256, (64, *shape)).cumsum(1).cumsum(2) // 64
    images = images.astype("uint8")
    model = speednet(shape, 10)
    whiten(model, images, epsilon=0.0)
    layer = model.get_layer("whitening")
    assert not layer.trainable
    layer.activation = lambda x: x
    maps = np.asarray(layer(model.get_layer("normalisation")(images)))
    count = maps.shape[-1] // 2
    maps = maps.reshape(-1, 2 * count)
    np.testing.assert_allclose(maps[:, count:], -maps[:, :count], atol=1e-4)
    covariance = np.cov(maps[:, :count], rowvar=False)
    np.testing.assert_allclose(covariance, np.eye(count), atol=0.02)


def test_later_convolutions_start_as_the_identity():
    model = speednet((32, 32, 3), 10)
    kernel = np.asarray(model.get_layer("conv1_1").kernel)
    identity = np.zeros((3, 3, 24, 24))
    identity[1, 1] = np.eye(24)
    np.testing.assert_array_equal(kernel[..., :24], identity)


def test_logits_are_ninths_of_the_scores():
    model = speednet((32, 32, 3), 10)
    both = keras.Model(model.input, [model.get_layer("scores").output, model.output])
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), "uint8")
    scores, logits = both(images)
    np.testing.assert_allclose(logits, np.asarray(scores) / 9, rtol=1e-5)


def test_widths_are_the_stages_filters():
    model = speednet((28, 28, 1), 10, widths=[16, 32, 48])
    filters = [model.get_layer(f"conv{stage}_2").filters for stage in (1, 2, 3)]
    assert filters == [16, 32, 48]


@pytest.mark.parametrize("widths", [[16, 32], [16, 0, 32]])
def test_widths_that_are_not_three_numbers_are_rejected(widths):
    with pytest.raises(ValueError, match="Received: widths="):
        speednet((28, 28, 1), 10, widths=widths)


def test_a_learned_bias_follows_the_frozen_filters():
    model = speednet((32, 32, 3), 10, whitening_bias=True)
    whiten(model, np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), "uint8"))
    bias = model.get_layer("whitening_bias")
    assert bias.trainable and bias.bias.shape == (24,)
    assert len(set(np.asarray(bias.bias).tolist())) == 24
    assert model.count_params() == speednet((32, 32, 3), 10).count_params()
    assert [w.path for w in model.trainable_weights][:2] == [
        "whitening_bias/bias",
        "conv1_1/kernel",
    ]
