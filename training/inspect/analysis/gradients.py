"""The size of the gradient in each layer, and how it vanishes in deep sigmoid nets.

Hochreiter's diploma thesis, 1991, found why deep networks did not learn: in
backpropagation the gradient is multiplied by every layer's weights and by the slope of
every activation, which is at most 1/4 for a sigmoid. Glorot, Bengio: "Understanding
the difficulty of training deep feedforward neural networks", AISTATS 2010, section
4.2, plotted it as here; Glorot, Bordes, Bengio: "Deep Sparse Rectifier Neural
Networks", 2011, gave the remedy, whose slope is 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

HIDDEN = 10  # layers
UNITS = 64
BATCH_SIZE = 128
STEPS = 60
LEARNING_RATE = 0.1


def gradient_norms(
    model: keras.Model, images: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Return the size of the loss's gradient in each layer.

    Args:
        model: uint8 images -> logits.
        images: uint8 (n, height, width, channels), one batch.
        labels: Integers (n,).

    Returns:
        For each layer with a trainable kernel, in order of the weights: the root mean
        square of the cross-entropy's gradient with respect to the kernel.
    """
    import keras
    import tensorflow as tf

    kernels = [
        (layer.name, layer.kernel.value)
        for layer in model.layers
        if isinstance(getattr(layer, "kernel", None), keras.Variable)
        and layer.kernel.trainable
    ]
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, model(images, training=False))
    found = tape.gradient(loss, [kernel for _, kernel in kernels])
    return {
        name: float(tf.sqrt(tf.reduce_mean(gradient**2)))
        for (name, _), gradient in zip(kernels, found, strict=True)
    }


def demonstrate(
    images: np.ndarray, labels: np.ndarray, num_classes: int, *, steps: int = STEPS
) -> dict[str, dict[str, list[float]]]:
    """Train two deep networks for a few steps that differ only in their activation.

    Ten hidden layers of 64 units, He's initialisation, plain gradient descent with
    batches of 128 in the order of the images.

    Args:
        images: uint8 (n, height, width, channels).
        labels: Integers (n,), 0 to num_classes - 1.
        num_classes: Number of classes.
        steps: Number of steps.

    Returns:
        For "sigmoid" and "relu": `start` and `end`, the gradient's root mean square in
        each layer from the first to the last; `loss`, the cross-entropy before and
        after.
    """
    import keras

    from fovea import models

    first = slice(0, BATCH_SIZE)
    result = {}
    for activation in ("sigmoid", "relu"):
        keras.utils.set_random_seed(0)
        model = models.build(
            "mlp",
            images.shape[1:],
            num_classes,
            hidden=(UNITS,) * HIDDEN,
            activation=activation,
            initialiser="he_normal",
        )
        model.compile(
            keras.optimizers.SGD(LEARNING_RATE),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        start = gradient_norms(model, images[first], labels[first])
        loss = [model.evaluate(images, labels, BATCH_SIZE, verbose=0)]
        for step in range(steps):
            batch = np.arange(step * BATCH_SIZE, (step + 1) * BATCH_SIZE) % len(images)
            model.train_on_batch(images[batch], labels[batch])
        loss.append(model.evaluate(images, labels, BATCH_SIZE, verbose=0))
        end = gradient_norms(model, images[first], labels[first])
        result[activation] = {
            "start": list(start.values()),
            "end": list(end.values()),
            "loss": loss,
        }
    return result
