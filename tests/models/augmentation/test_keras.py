"""Why Keras' own layers are not used, as models/augmentation documents.

A failure here means that Keras' layer can perhaps replace one of ours.
"""

import keras
import numpy as np
import pytest
from keras import layers

X = np.random.default_rng(0).uniform(size=(32, 8, 8, 3)).astype("float32")
SAME = np.repeat(X[:1], 32, axis=0)


def different(x) -> int:
    return len(np.unique(np.asarray(x).reshape(len(x), -1), axis=0))


@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomTranslation(0.2, 0.2),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.2),
    ],
)
def test_do_not_compile_under_xla(layer):
    assert not layer.supports_jit


def test_random_crop_takes_one_offset_for_a_batch():
    assert different(layers.RandomCrop(4, 4, seed=1)(SAME, training=True)) == 1


@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomFlip("horizontal"),
        layers.RandomErasing(factor=(1.0, 1.0), value_range=(0, 1), fill_value=0.0),
        layers.RandomBrightness(0.5, value_range=(0, 1)),
        layers.RandomContrast(0.5, value_range=(0, 1)),
    ],
)
def test_they_augment_when_a_model_is_called_without_training(layer):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layer(inputs))
    assert not np.array_equal(model(X), X)
    assert different(layer(SAME)) > 1  # they are per image


def test_saturation_is_wrong_where_black_is_not_0():
    # A factor of one half is documented to change nothing.
    layer = layers.RandomSaturation((0.5, 0.5), value_range=(-1, 1))
    y = np.asarray(layer(X * 2 - 1, training=True))
    assert np.abs(y - (X * 2 - 1)).max() > 0.1


def test_cutmix_labels_are_not_the_share_of_pixels():
    images = np.zeros((32, 8, 8, 1), "float32")
    images[16:] = 1
    labels = images[:, 0, 0]
    mixed = layers.CutMix((1.0, 1.0), seed=1)({"images": images, "labels": labels})
    share = np.asarray(mixed["images"]).mean((1, 2))
    assert np.abs(share - np.asarray(mixed["labels"])).max() > 0.02
