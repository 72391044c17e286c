"""Blend pairs of images and their labels."""

import keras
import tensorflow as tf
from keras import ops


def mixup(
    images: tf.Tensor,
    labels: tf.Tensor,
    generator: keras.random.SeedGenerator,
    *,
    alpha: float = 1.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend every image of a batch, and its label, with another one.

    Zhang, Cisse, Dauphin, Lopez-Paz: "mixup: Beyond Empirical Risk Minimization", arXiv
    1710.09412; every image has its own weight.

    Args:
        images: (N, H, W, C), of any dtype; integers are rounded, so that the result
            fits a model's uint8 input.
        labels: Float (N, K), one-hot or smoothed.
        generator: Source of randomness.
        alpha: The weight is drawn from Beta(alpha, alpha): 1, uniform, is the paper's
            value for CIFAR-10, 0.2 that for ImageNet. Values other than 1 do not
            compile under XLA.

    Returns:
        A pair: images of the same dtype, float32 labels.
    """
    weight, partner = draw_pairs(ops.shape(images)[0], generator, alpha)
    share = weight[:, None, None, None]
    values = ops.cast(images, "float32")
    mixed = share * values + (1 - share) * ops.take(values, partner, axis=0)
    if keras.backend.is_int_dtype(images.dtype):
        mixed = ops.round(mixed)
    return ops.cast(mixed, images.dtype), mix_labels(labels, partner, weight)


def draw_pairs(
    count: tf.Tensor, generator: keras.random.SeedGenerator, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return each image's weight, and the index of the image it is mixed with.

    Raises:
        ValueError: If `alpha` is not positive.
    """
    if not alpha > 0:
        raise ValueError(f"alpha must be positive. Received: alpha={alpha}")
    if alpha == 1:
        weight = keras.random.uniform((count,), dtype="float32", seed=generator)
    else:
        weight = keras.random.beta(
            (count,), alpha, alpha, dtype="float32", seed=generator
        )
    return weight, keras.random.shuffle(ops.arange(count), seed=generator)


def mix_labels(labels: tf.Tensor, partner: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Return `weight` times each label plus the rest times its partner's label."""
    labels = ops.cast(labels, "float32")
    weight = weight[:, None]
    return weight * labels + (1 - weight) * ops.take(labels, partner, axis=0)
