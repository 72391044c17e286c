"""Blending pairs of images and their labels."""

import keras
from keras import ops


def mixup(images, labels, generator: keras.random.SeedGenerator, *, alpha=1.0):
    """Blend every image of a batch, and its label, with another one.

    Zhang, Cisse, Dauphin, Lopez-Paz: "mixup: Beyond Empirical Risk Minimization",
    arXiv 1710.09412; every image has a share of its own.

    Args:
        images: (N, H, W, C), of any dtype; integers are rounded, so that what
            leaves is fit for a model's uint8 input.
        labels: Float (N, K), one-hot or smoothed.
        generator: Source of randomness.
        alpha: The share is drawn from Beta(alpha, alpha): 1, uniform, is the
            paper's for CIFAR-10, 0.2 its for ImageNet. Other values than 1 do not
            compile under XLA.

    Returns:
        A pair: images of the same dtype, float32 labels.
    """
    share, partner = draw_pairs(ops.shape(images)[0], generator, alpha)
    weight = share[:, None, None, None]
    values = ops.cast(images, "float32")
    mixed = weight * values + (1 - weight) * ops.take(values, partner, axis=0)
    if keras.backend.is_int_dtype(images.dtype):
        mixed = ops.round(mixed)
    return ops.cast(mixed, images.dtype), mix_labels(labels, partner, share)


def draw_pairs(count, generator: keras.random.SeedGenerator, alpha: float):
    """Return each image's own share, and which image it is mixed with.

    Raises:
        ValueError: If `alpha` is not positive.
    """
    if not alpha > 0:
        raise ValueError(f"alpha must be positive. Received: alpha={alpha}")
    if alpha == 1:
        share = keras.random.uniform((count,), dtype="float32", seed=generator)
    else:
        share = keras.random.beta(
            (count,), alpha, alpha, dtype="float32", seed=generator
        )
    return share, keras.random.shuffle(ops.arange(count), seed=generator)


def mix_labels(labels, partner, share):
    """Return labels of which `share` is their own and the rest their partner's."""
    labels = ops.cast(labels, "float32")
    share = share[:, None]
    return share * labels + (1 - share) * ops.take(labels, partner, axis=0)
