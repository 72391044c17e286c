"""Mixup and CutMix: labels follow pixels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fovea.models import augmentation

COUNT, CLASSES = 64, 10
RNG = np.random.default_rng(0)


def batch(dtype="uint8"):
    """Return images that are one grey value each, and their one-hot labels."""
    values = np.arange(COUNT) * 4
    images = np.broadcast_to(values[:, None, None, None], (COUNT, 9, 12, 3))
    labels = np.eye(COUNT, dtype="float32")  # every image is a class of its own
    return images.astype(dtype), labels


@pytest.mark.parametrize("name", augmentation.MIXINGS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_labels_are_shares_of_the_pixels(name, dtype):
    images, labels = batch(dtype)
    mix = augmentation.resolve_mixing(name, seed=1)
    mixed, shares = (np.asarray(x) for x in mix(images, labels))
    assert mixed.dtype == dtype and shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    # Images are plain, so that a mixture's mean determines the shares.
    expected = shares @ images[:, 0, 0, 0].astype("float32")
    rounding = 0.5 if name == "mixup" and dtype == "uint8" else 0
    np.testing.assert_allclose(
        mixed.astype("float64").mean((1, 2, 3)), expected, atol=rounding + 1e-3
    )
    own = np.diag(shares)
    assert len(np.unique(own.round(3))) > 20  # every image has its own share
    assert (shares > 0).sum(1).max() == 2


def test_mixup_shares_are_uniform_and_alpha_sharpens_them():
    images = np.zeros((5000, 1, 1, 1), "float32")
    generator = keras.random.SeedGenerator(1)

    def shares(alpha):
        labels = np.stack([np.ones(5000), np.zeros(5000)], 1)
        labels[2500:] = labels[2500:, ::-1]
        mixed = np.asarray(
            augmentation.mixup(images, labels, generator, alpha=alpha)[1]
        )
        own = np.where(np.arange(5000) < 2500, mixed[:, 0], mixed[:, 1])
        return own[own < 1]  # the others were mixed with their own class

    counts, _ = np.histogram(shares(1.0), bins=5, range=(0, 1))
    assert counts.min() > 0.8 * counts.mean()
    counts, _ = np.histogram(shares(0.2), bins=5, range=(0, 1))
    assert counts[0] > 3 * counts[2] and counts[4] > 3 * counts[2]


def test_cutmix_pastes_one_rectangle():
    images, labels = batch()
    mixed, shares = map(
        np.asarray, augmentation.resolve_mixing("cutmix", seed=2)(images, labels)
    )
    areas = []
    for image, before, share in zip(mixed, images, np.diag(shares), strict=True):
        pasted = (image != before).any(-1)
        rows, columns = pasted.any(1), pasted.any(0)
        np.testing.assert_array_equal(pasted, np.outer(rows, columns))
        for line in (rows, columns):
            assert (np.diff(line.astype(int)) == 1).sum() + line[0] <= 1
        if pasted.any():
            np.testing.assert_allclose(1 - share, pasted.mean(), atol=1e-6)
        areas.append(pasted.mean())
    assert max(areas) > 0.6 and np.mean(areas) > 0.15


@pytest.mark.parametrize("name", augmentation.MIXINGS)
def test_in_an_input_pipeline(name):
    images, labels = batch()

    def epochs(seed):
        data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
        data = data.map(augmentation.resolve_mixing(name, seed=seed))
        assert data.element_spec[0].shape.as_list() == [None, 9, 12, 3]
        assert data.element_spec[0].dtype == tf.uint8
        return [np.concatenate([x.numpy() for x, _ in data]) for _ in range(2)]

    first, second = epochs(1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, epochs(1)[0])
    assert not np.array_equal(first, epochs(2)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", augmentation.MIXINGS)
def test_compiles_under_xla(name):
    images, labels = batch()
    mix = tf.function(augmentation.resolve_mixing(name, seed=1), jit_compile=True)
    mixed, shares = mix(tf.constant(images), tf.constant(labels))
    np.testing.assert_allclose(np.asarray(shares).sum(1), 1, atol=1e-6)
    assert not np.array_equal(mixed, images)


def test_bad_values():
    with pytest.raises(ValueError, match=r"mean cutmix\?.*Received: mixing=cutmx$"):
        augmentation.resolve_mixing("cutmx")
    with pytest.raises(ValueError, match=r"positive\. Received: alpha=0$"):
        augmentation.mixup(*batch(), keras.random.SeedGenerator(0), alpha=0)
