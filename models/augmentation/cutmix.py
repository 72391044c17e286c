"""Replace a rectangle by that of another image, and mix the labels."""

import keras
import tensorflow as tf
from keras import ops

from fovea.models.augmentation.mixup import draw_pairs, mix_labels


def cutmix(
    images: tf.Tensor,
    labels: tf.Tensor,
    generator: keras.random.SeedGenerator,
    *,
    alpha: float = 1.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Replace a rectangle of every image by the same rectangle of another one.

    Yun, Han, Oh, Chun, Choe, Yoo: "CutMix: Regularization Strategy to Train Strong
    Classifiers with Localizable Features", ICCV 2019. As in the paper, the rectangle's
    centre is any pixel, what lies outside the image is cut off, and the weight of a
    label is the fraction of pixels that were kept. (Keras' CutMix takes the area of a
    rectangle with fractional sides, which differs from it.)

    Args:
        images: (N, H, W, C), of any dtype.
        labels: Float (N, K), one-hot or smoothed.
        generator: Source of randomness.
        alpha: The fraction to keep is drawn from Beta(alpha, alpha); 1, uniform, is the
            paper's value. Other values do not compile under XLA.

    Returns:
        A pair: images of the same dtype, float32 labels.
    """
    height, width = images.shape[1:3]
    weight, partner = draw_pairs(ops.shape(images)[0], generator, alpha)
    side = ops.sqrt(1 - weight)
    rows = _replaced(side, height, generator)
    columns = _replaced(side, width, generator)
    replaced = ops.logical_and(rows[:, :, None], columns[:, None, :])
    mixed = ops.where(replaced[..., None], ops.take(images, partner, axis=0), images)
    kept = 1 - ops.mean(ops.cast(replaced, "float32"), axis=(1, 2))
    return mixed, mix_labels(labels, partner, kept)


def _replaced(
    side: tf.Tensor, length: int, generator: keras.random.SeedGenerator
) -> tf.Tensor:
    """Return which pixels along one axis are replaced: bool (N, length)."""
    size = ops.cast(side * length, "int32")
    centre = keras.random.randint(ops.shape(side), 0, length, seed=generator)
    first = (centre - size // 2)[:, None]
    index = ops.arange(length)
    return ops.logical_and(index >= first, index < first + size[:, None])
