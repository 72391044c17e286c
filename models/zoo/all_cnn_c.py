"""All-CNN-C: convolutions only."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input
from fovea.models.style import Style
from fovea.models.validation import check_fraction

STYLE = Style(pooling="strided", dropout=0.5)


def all_cnn_c(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    input_dropout: float = 0.2,
    **style: Any,
) -> keras.Model:
    """Build All-CNN-C.

    Springenberg, Dosovitskiy, Brox, Riedmiller: "Striving for Simplicity: The All
    Convolutional Net", 2014 (ICLR 2015 workshop), tables 1 and 2. Published:
    CIFAR-10 9.08 % test error, 7.25 % with shifts and flips.

    Convolutions with the same window and stride replace the poolings, without loss of
    accuracy. `pooling="max"` gives the paper's model C, from which this network is
    derived.

    Layers and shapes at 32x32x3:

        drop0    20 %
        conv1    96 filters 3x3              32x32    2,688 parameters
        conv2    96 filters 3x3              32x32    83,040
        pool1    96 filters 3x3, stride 2    16x16    83,040
        conv3    192 filters 3x3             16x16    166,080
        conv4    192 filters 3x3             16x16    331,968
        pool2    192 filters 3x3, stride 2   8x8      331,968
        conv5    192 filters 3x3, valid      6x6      331,968
        conv6    192 filters 1x1             6x6      37,056
        conv7    10 filters 1x1              6x6      1,930    (1,369,738 in all)
        logits   average                     10

    What differs from the paper: conv7 has no ReLU, because a class whose map is zero
    everywhere gets no gradient; He's initialisation, the paper names none; pixels
    scaled to -1..1 instead of global contrast normalisation and whitening.

    Args:
        input_shape: (height, width, channels), at least 9x9.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        input_dropout: Fraction of the input's values to drop.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout follows pool1 and pool2.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    check_fraction("input_dropout", input_dropout)
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=9
    )
    x = blocks.drop(x, rate=input_dropout, name="drop0")
    x = blocks.conv(x, 96, 3, strides=blocks.stride, name="conv1")
    x = blocks.conv(x, 96, 3, name="conv2")
    x = blocks.pool(x, 3, strides=2, padding="same", name="pool1")
    x = blocks.drop(x, name="drop1")

    x = blocks.conv(x, 192, 3, name="conv3")
    x = blocks.conv(x, 192, 3, name="conv4")
    x = blocks.pool(x, 3, strides=2, padding="same", name="pool2")
    x = blocks.drop(x, name="drop2")

    x = blocks.conv(x, 192, 3, padding="valid", name="conv5")
    x = blocks.conv(x, 192, 1, name="conv6")
    x = blocks.convolve(x, num_classes, 1, name="conv7")
    logits = layers.GlobalAveragePooling2D(dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="all_cnn_c")
