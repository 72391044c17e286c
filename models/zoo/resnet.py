"""The ImageNet ResNets of 18, 34 and 50 layers, also with a stem for CIFAR."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input, is_imagenet_form
from fovea.models.style import Style

# Number of blocks in conv2_x to conv5_x; the paper's table 1.
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}

# Pooling and stride depend on the stem. A block adds its input to what it computed,
# so that the padding is fixed.
STYLE = Style(pooling=None, normalisation="batch", stride=None, excluded=("padding",))


def resnet18(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build ResNet-18: 11,689,512 parameters, 27.88 % top-1 error on ImageNet.

    For shapes, options and figures see `resnet`.
    """
    return resnet(input_shape, num_classes, 18, **options)


def resnet34(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build ResNet-34: 21,797,672 parameters, 24.52 % top-1 error on ImageNet.

    For shapes, options and figures see `resnet`.
    """
    return resnet(input_shape, num_classes, 34, **options)


def resnet50(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build ResNet-50: 25,557,032 parameters, 22.85 % top-1 error on ImageNet.

    For shapes, options and figures see `resnet`.
    """
    return resnet(input_shape, num_classes, 50, **options)


def resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    depth: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    stem: str | None = None,
    **style: Any,
) -> keras.Model:
    """Build a ResNet of 18, 34 or 50 layers.

    He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", 2015
    (CVPR 2016), section 4.1 and table 1. Published top-1 error on ImageNet's
    validation set, ten crops (tables 2 and 3): 27.88 % for 18 layers (with option
    A's shortcuts), 24.52 for 34, 22.85 for 50. With the CIFAR stem, by others, on
    CIFAR-10: ResNet-18 93.0 to 96.0 % accuracy.

    Layers and shapes at 224x224x3:

        conv1      64 filters 7x7, stride 2    112x112
        pool1      max 3x3, stride 2           56x56
        conv2_x    18: 2, 34 and 50: 3 blocks  56x56
        conv3_x    2, 4 blocks                 28x28
        conv4_x    2, 6 blocks                 14x14
        conv5_x    2, 3 blocks                 7x7
        pool5      average
        logits     fully connected             1000

    A block of ResNet-18 and 34 is two 3x3 layers of 64, 128, 256, 512 filters; a
    bottleneck of ResNet-50 a 1x1, a 3x3 of as many, and a 1x1 of four times as many, so
    that the expensive 3x3 layer has few channels. Layers of a block, conv3_1 for
    example: conv3_1_a, conv3_1_b, (conv3_1_c,) each with normalisation,
    conv3_1_shortcut, conv3_1_add, conv3_1_act.

    Where sources disagree: shortcuts are the paper's option B, a 1x1 projection where
    the shape changes. Stride 2 is in the bottleneck's first 1x1, as in the paper
    (torchvision moved it to the 3x3, "v1.5"; same parameters). Convolutions before a
    normalisation have no bias: 25,557,032 trainable parameters for ResNet-50, where
    keras.applications counts 25,636,712 with biases and statistics. "same" padding puts
    the odd pixel after the image, torchvision before it.

    The CIFAR stem, for images below 64x64, is one 3x3 convolution at stride 1 without
    pool1; the stages' maps are 32x32, 16x16, 8x8, 4x4.

    What differs from the paper: pixels scaled to -1..1 instead of the mean
    subtracted.

    Args:
        input_shape: (height, width, channels), at least 8x8.
        num_classes: Number of logits.
        depth: 18, 34 or 50.
        augmentation: Policy name, list of layers or None.
        stem: "imagenet" or "cifar"; None goes by the image size.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Pooling is that of pool1, for the ImageNet stem only; None is the paper's
            "max". A stride of None is the stem's, 2 or 1. Dropout precedes the logits.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    large = is_imagenet_form(stem, input_shape)
    values = STYLE.updated(style)
    if values.pooling is not None and not large:
        raise ValueError(
            "The ImageNet stem has a pooling, the CIFAR stem has none to choose. "
            f"Received: pooling={values.pooling}"
        )
    blocks = Blocks(values.completed(pooling="max", stride=2 if large else 1))
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=8
    )
    x = blocks.conv(x, 64, 7 if large else 3, strides=blocks.stride, name="conv1")
    if large:
        x = blocks.pool(x, 3, strides=2, padding="same", name="pool1")
    residual_block = _bottleneck if depth >= 50 else _basic
    for stage, count in enumerate(BLOCKS[depth], 2):
        for block in range(1, count + 1):
            x = residual_block(
                blocks,
                x,
                64 * 2 ** (stage - 2),
                2 if block == 1 and stage > 2 else 1,
                name=f"conv{stage}_{block}",
            )
    x = layers.GlobalAveragePooling2D(name="pool5")(x)
    x = blocks.drop(x, name="drop5")
    return keras.Model(images, blocks.logits(x, num_classes), name=f"resnet{depth}")


def _basic(
    blocks: Blocks, x: keras.KerasTensor, filters: int, strides: int, *, name: str
) -> keras.KerasTensor:
    """Add a residual block of two 3x3 layers (figure 5, left)."""
    residual = blocks.conv(x, filters, 3, strides=strides, name=f"{name}_a")
    residual = blocks.conv(residual, filters, 3, activate=False, name=f"{name}_b")
    return _add(blocks, x, residual, strides, name=name)


def _bottleneck(
    blocks: Blocks, x: keras.KerasTensor, filters: int, strides: int, *, name: str
) -> keras.KerasTensor:
    """Add a bottleneck block of 1x1, 3x3 and 1x1 layers (figure 5, right)."""
    residual = blocks.conv(x, filters, 1, strides=strides, name=f"{name}_a")
    residual = blocks.conv(residual, filters, 3, name=f"{name}_b")
    residual = blocks.conv(residual, 4 * filters, 1, activate=False, name=f"{name}_c")
    return _add(blocks, x, residual, strides, name=name)


def _add(
    blocks: Blocks,
    x: keras.KerasTensor,
    residual: keras.KerasTensor,
    strides: int,
    *,
    name: str,
) -> keras.KerasTensor:
    """Add a residual to its input, projected where the shape changes."""
    filters = residual.shape[-1]
    if strides > 1 or x.shape[-1] != filters:
        x = blocks.conv(
            x, filters, 1, strides=strides, activate=False, name=f"{name}_shortcut"
        )
    x = layers.Add(name=f"{name}_add")([x, residual])
    return blocks.activate(x, name=f"{name}_act")
