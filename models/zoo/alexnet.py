"""AlexNet: the network that brought deep learning to vision."""

from dataclasses import replace
from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.layers.local_response_normalization import LocalResponseNormalization
from fovea.models.stem import image_input, is_imagenet_form
from fovea.models.style import NORMALISATIONS, Style
from fovea.models.validation import check_choice, check_count

# Also takes normalisation="local_response"; the stride depends on the stem.
STYLE = Style(normalisation="local_response", dropout=0.5, stride=None)


def alexnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    stem: str | None = None,
    towers: int = 2,
    fc_units: int | None = None,
    **style: Any,
) -> keras.Model:
    """Build AlexNet.

    Krizhevsky, Sutskever, Hinton: "ImageNet Classification with Deep
    Convolutional Neural Networks", NIPS 2012, section 3.5 and figure 2.
    Published: 18.2 % top-5 and 40.7 % top-1 error on ImageNet's validation set
    for one network, 15.3 % top-5 on the test set for an ensemble.

    Layers and shapes at 227x227x3 with two towers, as the paper has them on two GPUs.
    Each tower's layers take their input from the same tower, except conv3 and the fully
    connected layers, which take it from both:

        conv1   2 x 48 filters 11x11, stride 4    55x55    34,944 parameters
        norm1, pool1  3x3, stride 2               27x27
        conv2   2 x 128 filters 5x5               27x27    307,456
        norm2, pool2  3x3, stride 2               13x13
        conv3   2 x 192 filters 3x3, cross        13x13    885,120
        conv4   2 x 192 filters 3x3               13x13    663,936
        conv5   2 x 128 filters 3x3               13x13    442,624
        pool5   3x3, stride 2                     6x6
        fc6     fully connected                   4096     37,752,832
        fc7     fully connected                   4096     16,781,312
        logits  fully connected                   1000     4,097,000
                                                  (60,965,224 in all)

    `towers=1` gives the network without groups of many later implementations,
    62,378,344 parameters. (torchvision's, with 61,100,840, is another one: "One weird
    trick", 2014.) The paper states 224x224, which does not give 55x55; 227x227 does,
    and is what implementations use.

    The CIFAR form, for images below 67x67, starts with 5x5 filters at stride 1 and has
    1,024 units in fc6 and fc7.

    What differs from the paper: He's initialisation with zero biases instead of
    a deviation of 0.01 with biases of one; pixels scaled to -1..1 instead of the
    training set's mean subtracted.

    Args:
        input_shape: (height, width, channels), at least 15x15.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        stem: "imagenet" or "cifar"; None goes by the image size.
        towers: 2, or 1 for a network that is not split.
        fc_units: Units of fc6 and fc7; None for the stem's 4,096 or 1,024.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Here normalisation may also be "local_response" (the paper's, after conv1
            and conv2 only), and a padding or stride of None is the paper's. Dropout
            follows fc6 and fc7.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    large = is_imagenet_form(stem, input_shape, smallest=67)
    check_choice("towers", towers, (1, 2))
    if fc_units is None:
        fc_units = 4096 if large else 1024
    check_count("fc_units", fc_units)
    values = STYLE.updated(style).completed(stride=4 if large else 1)
    check_choice(
        "normalisation", values.normalisation, ("local_response", *NORMALISATIONS)
    )
    local_response = values.normalisation == "local_response"
    blocks = Blocks(replace(values, normalisation="none") if local_response else values)
    # The paper's figure 2 has one GPU's layers on top, the other's below.
    tags = ("_top", "_bottom") if towers == 2 else ("",)

    def conv(
        inputs: list[keras.KerasTensor],
        filters: int,
        kernel: int,
        *,
        name: str,
        **options: Any,
    ) -> list[keras.KerasTensor]:
        return [
            blocks.conv(x, filters // towers, kernel, name=name + tag, **options)
            for x, tag in zip(inputs, tags, strict=True)
        ]

    def normalise(
        inputs: list[keras.KerasTensor], *, name: str
    ) -> list[keras.KerasTensor]:
        if not local_response:
            return inputs
        return [
            LocalResponseNormalization(name=name + tag)(x)
            for x, tag in zip(inputs, tags, strict=True)
        ]

    def pool(inputs: list[keras.KerasTensor], *, name: str) -> list[keras.KerasTensor]:
        return [
            blocks.pool(x, 3, strides=2, name=name + tag)
            for x, tag in zip(inputs, tags, strict=True)
        ]

    def join(inputs: list[keras.KerasTensor], *, name: str) -> keras.KerasTensor:
        return layers.Concatenate(name=name)(inputs) if towers == 2 else inputs[0]

    images, image = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=15
    )
    x = conv(
        [image] * towers,
        96,
        11 if large else 5,
        strides=blocks.stride,
        padding="valid" if large else "same",
        name="conv1",
    )
    x = normalise(x, name="norm1")
    x = pool(x, name="pool1")
    x = conv(x, 256, 5, name="conv2")
    x = normalise(x, name="norm2")
    x = pool(x, name="pool2")
    x = conv([join(x, name="cross")] * towers, 384, 3, name="conv3")
    x = conv(x, 384, 3, name="conv4")
    x = conv(x, 256, 3, name="conv5")
    x = pool(x, name="pool5")

    x = layers.Flatten(name="flatten")(join(x, name="both"))
    x = blocks.dense(x, fc_units, name="fc6")
    x = blocks.drop(x, name="drop6")
    x = blocks.dense(x, fc_units, name="fc7")
    x = blocks.drop(x, name="drop7")
    return keras.Model(images, blocks.logits(x, num_classes), name="alexnet")
