"""Network in Network: a small multilayer perceptron slides over the image."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input
from fovea.models.style import Style

STYLE = Style(dropout=0.5, padding="same")


def nin(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    **style: Any,
) -> keras.Model:
    """Build Network in Network.

    Lin, Chen, Yan: "Network In Network", 2013 (ICLR 2014), figure 2 and section
    4. Published: CIFAR-10 8.81 % test error with translation and flipping, 10.41
    without; CIFAR-100 35.68 %; MNIST 0.47 %.

    Two of its ideas were widely adopted. A convolution is linear in its window; the 1x1
    convolutions that follow it ("cccp", cascaded cross channel parametric pooling) make
    it a small multilayer perceptron. And instead of fully connected layers, which
    overfit, the last maps, one for each class, are averaged.

    Layers and shapes at CIFAR-10's 32x32x3; the paper states none, these are those of
    the authors' published Caffe definition:

        conv1   192 filters 5x5      32x32     14,592 parameters
        cccp1   160 filters 1x1      32x32     30,880
        cccp2   96 filters 1x1       32x32     15,456
        pool1   max 3x3, stride 2    16x16
        conv2   192 filters 5x5      16x16     460,992
        cccp3   192 filters 1x1      16x16     37,056
        cccp4   192 filters 1x1      16x16     37,056
        pool2   3x3, stride 2        8x8
        conv3   192 filters 3x3      8x8       331,968
        cccp5   192 filters 1x1      8x8       37,056
        cccp6   10 filters 1x1       8x8       1,930     (966,986 in all)
        logits  average              10

    What differs from it: pool2 takes the maximum, as the paper says, not the authors'
    average; cccp6 has no ReLU, because a class whose map is zero everywhere gets no
    gradient; He's initialisation; pixels scaled to -1..1 instead of global contrast
    normalisation and whitening.

    Args:
        input_shape: (height, width, channels), at least 5x5.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout follows the poolings.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=5
    )
    x = blocks.conv(x, 192, 5, strides=blocks.stride, name="conv1")
    x = blocks.conv(x, 160, 1, name="cccp1")
    x = blocks.conv(x, 96, 1, name="cccp2")
    x = blocks.pool(x, 3, strides=2, padding="same", name="pool1")
    x = blocks.drop(x, name="drop1")

    x = blocks.conv(x, 192, 5, name="conv2")
    x = blocks.conv(x, 192, 1, name="cccp3")
    x = blocks.conv(x, 192, 1, name="cccp4")
    x = blocks.pool(x, 3, strides=2, padding="same", name="pool2")
    x = blocks.drop(x, name="drop2")

    x = blocks.conv(x, 192, 3, name="conv3")
    x = blocks.conv(x, 192, 1, name="cccp5")
    x = blocks.convolve(x, num_classes, 1, name="cccp6")
    logits = layers.GlobalAveragePooling2D(dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="nin")
