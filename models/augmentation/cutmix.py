"""Pasting a rectangle of another image, with its share of the label."""

import keras
from keras import ops

from fovea.models.augmentation.mixup import draw_pairs, mix_labels


def cutmix(images, labels, generator: keras.random.SeedGenerator, *, alpha=1.0):
    """Replace a rectangle of every image by the same rectangle of another one.

    Yun, Han, Oh, Chun, Choe, Yoo: "CutMix: Regularization Strategy to Train Strong
    Classifiers with Localizable Features", ICCV 2019. As there, the rectangle's
    centre is any pixel, what lies outside the image is cut off, and a label's share
    is the share of pixels that stayed. (Keras' CutMix takes the share of a
    rectangle with fractional sides, which is not that of the pixels.)

    Args:
        images: (N, H, W, C), of any dtype.
        labels: Float (N, K), one-hot or smoothed.
        generator: Source of randomness.
        alpha: The share is drawn from Beta(alpha, alpha); 1, uniform, is the paper's
            value. Other values do not compile under XLA.

    Returns:
        A pair: images of the same dtype, float32 labels.
    """
    height, width = images.shape[1:3]
    share, partner = draw_pairs(ops.shape(images)[0], generator, alpha)
    side = ops.sqrt(1 - share)
    rows = _replaced(side, height, generator)
    columns = _replaced(side, width, generator)
    replaced = ops.logical_and(rows[:, :, None], columns[:, None, :])
    mixed = ops.where(replaced[..., None], ops.take(images, partner, axis=0), images)
    kept = 1 - ops.mean(ops.cast(replaced, "float32"), axis=(1, 2))
    return mixed, mix_labels(labels, partner, kept)


def _replaced(side, length: int, generator: keras.random.SeedGenerator):
    """Return which pixels along one axis are another's: bool (N, length)."""
    size = ops.cast(side * length, "int32")
    centre = keras.random.randint(ops.shape(side), 0, length, seed=generator)
    first = (centre - size // 2)[:, None]
    place = ops.arange(length)
    return ops.logical_and(place >= first, place < first + size[:, None])
