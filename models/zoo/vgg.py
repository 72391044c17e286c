"""VGG: deep networks of 3x3 filters only."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input, is_imagenet_form
from fovea.models.style import Style
from fovea.models.validation import check_count

# Number of 3x3 convolutions before each of the five poolings; the paper's
# configurations A, B, D and E.
CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}

# The normalisation depends on the form.
STYLE = Style(normalisation=None, dropout=0.5, padding="same")


def vgg11(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build VGG-11, the paper's A: 132,863,336 parameters, 10.4 % top-5 error.

    For shapes, options and figures see `vgg`.
    """
    return vgg(input_shape, num_classes, 11, **options)


def vgg13(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build VGG-13, the paper's B: 133,047,848 parameters, 9.9 % top-5 error.

    For shapes, options and figures see `vgg`.
    """
    return vgg(input_shape, num_classes, 13, **options)


def vgg16(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build VGG-16, the paper's D: 138,357,544 parameters, 8.1 % top-5 error.

    For shapes, options and figures see `vgg`.
    """
    return vgg(input_shape, num_classes, 16, **options)


def vgg19(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build VGG-19, the paper's E: 143,667,240 parameters, 8.0 % top-5 error.

    For shapes, options and figures see `vgg`.
    """
    return vgg(input_shape, num_classes, 19, **options)


def vgg(
    input_shape: tuple[int, int, int],
    num_classes: int,
    depth: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    stem: str | None = None,
    fc_units: int | None = None,
    **style: Any,
) -> keras.Model:
    """Build a VGG network of 11, 13, 16 or 19 layers with weights.

    Simonyan, Zisserman: "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", 2014 (ICLR 2015), table 1. Published on ImageNet's validation
    set, single scale (table 3): top-5 error A 10.4, B 9.9, D 8.1, E 8.0 %.

    Two stacked 3x3 layers have a receptive field of 5x5 and three one of 7x7, with
    fewer weights than one such filter and a non-linearity after each.

    Layers and shapes at 224x224x3, D (A and B lack some, E has one more in each
    of the last three stages):

        conv1_1, conv1_2            64 filters 3x3     224x224
        pool1                       max 2x2            112x112
        conv2_1, conv2_2            128                112x112
        pool2                                          56x56
        conv3_1, conv3_2, conv3_3   256                56x56
        pool3                                          28x28
        conv4_1, conv4_2, conv4_3   512                28x28
        pool4                                          14x14
        conv5_1, conv5_2, conv5_3   512                14x14
        pool5                                          7x7
        fc6, fc7                    fully connected    4096
        logits                      fully connected    1000

    The CIFAR form, for images below 64x64, has the same convolutions, whose maps end at
    1x1, 512 units in fc6 and fc7, and batch normalisation, without which networks of
    these depths hardly train at that size. Published by others for CIFAR-10 with batch
    normalisation: VGG-11 92.4, VGG-16 92.6 to 94.0, VGG-19 93.5 to 94.0 % accuracy.

    What differs from the paper: He's initialisation, where the paper first
    trained A and began the deeper networks with its weights; pixels scaled to
    -1..1 instead of the training set's mean subtracted.

    Args:
        input_shape: (height, width, channels), at least 17x17: below that pool5 would
            have an input of 1x1.
        num_classes: Number of logits.
        depth: 11, 13, 16 or 19.
        augmentation: Policy name, list of layers or None.
        stem: "imagenet" or "cifar" form; None goes by the image size.
        fc_units: Units of fc6 and fc7; None for the form's 4,096 or 512.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            A normalisation of None is the form's, "none" (the paper's) or "batch".
            Dropout follows fc6 and fc7.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    large = is_imagenet_form(stem, input_shape)
    if fc_units is None:
        fc_units = 4096 if large else 512
    check_count("fc_units", fc_units)
    values = STYLE.updated(style).completed(normalisation="none" if large else "batch")
    blocks = Blocks(values)
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=17
    )
    filters = (64, 128, 256, 512, 512)
    for stage, count in enumerate(CONVOLUTIONS[depth], 1):
        for index in range(1, count + 1):
            first = stage == index == 1
            x = blocks.conv(
                x,
                filters[stage - 1],
                3,
                strides=blocks.stride if first else 1,
                padding="same",
                name=f"conv{stage}_{index}",
            )
        # "same" has no effect at 224x224; without it the maps of MNIST's 28x28 would be
        # too small for pool5.
        x = blocks.pool(x, 2, padding="same", name=f"pool{stage}")
    x = layers.Flatten(name="flatten")(x)
    x = blocks.dense(x, fc_units, name="fc6")
    x = blocks.drop(x, name="drop6")
    x = blocks.dense(x, fc_units, name="fc7")
    x = blocks.drop(x, name="drop7")
    return keras.Model(images, blocks.logits(x, num_classes), name=f"vgg{depth}")
