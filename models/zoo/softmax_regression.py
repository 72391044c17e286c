"""Softmax regression: one linear classifier for each class."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input
from fovea.models.style import Style

STYLE = Style(
    initialiser="glorot_uniform",
    excluded=("activation", "pooling", "normalisation", "padding", "stride"),
)


def softmax_regression(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    **style: Any,
) -> keras.Model:
    """Build K linear classifiers on the flattened image.

    Bridle: "Training Stochastic Model Recognition Algorithms as Networks can
    lead to Maximum Mutual Information Estimation of Parameters", NIPS 1989,
    which named the softmax.

    The baseline for all networks: a class's weights, reshaped to the image, are the
    only template of the class. On MNIST LeCun et al. (1998, section III.C) report 12 %
    test error for linear classifiers trained with squared error; with softmax
    cross-entropy about 7.5 % is usual.

    Layers and shapes at MNIST's 28x28x1:

        flatten                    784
        logits  fully connected    10      7,850 parameters

    A 32x32x3 image has 3,072 weights and a bias for each class.

    What differs from the paper: it trains by mutual information, whose gradient
    is that of the cross-entropy where each image has one class.

    Args:
        input_shape: (height, width, channels).
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout acts on the pixels.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(input_shape, num_classes, augmentation=augmentation)
    x = layers.Flatten(name="flatten")(x)
    x = blocks.drop(x, name="drop")
    return keras.Model(images, blocks.logits(x, num_classes), name="softmax_regression")
