"""Batches: every image once an epoch, the same batches after resuming."""

import numpy as np
import pytest

from fovea.training.loop import batches as pipeline

COUNT, CLASSES = 53, 10


@pytest.fixture(scope="module")
def images(sample):
    return sample.x_train[:COUNT]


def batches(images, *, batch_size=10, seed=1, **settings):
    # The labels identify the images.
    labels = np.arange(len(images))
    return pipeline.Batches(images, labels, len(images), batch_size, seed, **settings)


def read(dataset):
    """Return the batches: images, labels and, from the labels, the images' indices."""
    return [
        (images.numpy(), labels.numpy(), labels.numpy().argmax(axis=1))
        for images, labels in dataset
    ]


def places(dataset):
    return [place for _, _, of_batch in read(dataset) for place in of_batch]


def test_an_epoch_has_every_image_once_with_its_label(images):
    found = read(batches(images).dataset(0, 1))
    assert [len(labels) for _, labels, _ in found] == [10] * 5 + [3]
    assert sorted(np.concatenate([place for _, _, place in found])) == [*range(COUNT)]
    for pixels, labels, place in found:
        assert pixels.dtype == np.uint8 and labels.dtype == np.float32
        np.testing.assert_array_equal(pixels, images[place])
        np.testing.assert_array_equal(labels.sum(axis=1), 1)


def test_every_epoch_and_every_seed_has_a_different_order(images):
    one = batches(images)
    orders = [places(one.dataset(epoch, epoch + 1)) for epoch in range(3)]
    orders.append(places(batches(images, seed=2).dataset(0, 1)))
    assert len({tuple(order) for order in orders}) == 4
    # No order is a rotation or reflection of another: few indices coincide.
    assert sum(a == b for a, b in zip(orders[0], orders[1], strict=True)) < 8


@pytest.mark.parametrize("mixing", ["none", "mixup", "cutmix"])
def test_reading_may_begin_anywhere(images, mixing):
    one = batches(images, mixing=mixing)
    whole = read(one.dataset(0, 3))
    assert len(whole) == 3 * one.steps_per_epoch == 18
    again = read(batches(images, mixing=mixing).dataset(1, 3, first_step=4))
    for expected, found in zip(whole[10:], again, strict=True):
        np.testing.assert_array_equal(expected[0], found[0])
        np.testing.assert_array_equal(expected[1], found[1])


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_mixing_draws_new_values_in_every_step(images, mixing):
    # One batch an epoch, so that the same images meet in each.
    found = read(batches(images, batch_size=COUNT, mixing=mixing).dataset(0, 4))
    own_shares = [np.sort(labels.max(axis=1)) for _, labels, _ in found]
    assert not any(
        np.allclose(a, b) for i, a in enumerate(own_shares) for b in own_shares[:i]
    )
    for _, labels, _ in found:
        np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)


def test_the_last_incomplete_batch_may_be_dropped(images):
    found = read(batches(images, drop_last=True).dataset(0, 2))
    assert [len(labels) for _, labels, _ in found] == [10] * 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 60, "drop_last": True}, "do not fill a batch"),
        ({"batch_size": 9, "replicas": 2}, "a multiple of the 2 devices"),
    ],
)
def test_batch_sizes_without_a_step_or_equal_parts_are_rejected(
    images, settings, message
):
    with pytest.raises(ValueError, match=f"{message}.*Received: batch_size="):
        batches(images, **settings)


def test_devices_get_equal_parts(images):
    # 53 images make five batches of 10 and, for two devices, one of 2.
    assert pipeline.epoch_size(COUNT, 10, replicas=2) == (52, 6)
    assert pipeline.epoch_size(COUNT, 10, replicas=2, drop_last=True) == (50, 5)


def test_resizing_takes_the_mean_of_an_area(images):
    small = pipeline.resized(images, 14)
    assert small.dtype == np.uint8 and small.shape == (COUNT, 14, 14, 1)
    mean = images.reshape(COUNT, 14, 2, 14, 2, 1).mean(axis=(2, 4))
    assert np.abs(small - mean).max() <= 0.5
    assert pipeline.resized(images, 28) is images
    # Areas that cover parts of pixels keep the brightness as well.
    assert pipeline.resized(images, 20).mean() == pytest.approx(images.mean(), rel=0.01)
