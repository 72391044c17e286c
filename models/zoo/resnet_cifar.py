"""The CIFAR ResNets: 20 to 110 layers with the paper's parameter-free shortcuts."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.layers.identity_shortcut import IdentityShortcut
from fovea.models.stem import image_input
from fovea.models.style import Style

# A block adds its input to what it computed, so that the padding is fixed.
STYLE = Style(normalisation="batch", excluded=("pooling", "padding"))


def resnet20(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build ResNet-20: 0.27 M parameters, published 8.75 % error on CIFAR-10.

    For shapes, options and figures see `resnet_cifar`.
    """
    return resnet_cifar(input_shape, num_classes, 20, **options)


def resnet32(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build ResNet-32: 0.46 M parameters, published 7.51 % error on CIFAR-10.

    For shapes, options and figures see `resnet_cifar`.
    """
    return resnet_cifar(input_shape, num_classes, 32, **options)


def resnet44(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build ResNet-44: 0.66 M parameters, published 7.17 % error on CIFAR-10.

    For shapes, options and figures see `resnet_cifar`.
    """
    return resnet_cifar(input_shape, num_classes, 44, **options)


def resnet56(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build ResNet-56: 0.85 M parameters, published 6.97 % error on CIFAR-10.

    For shapes, options and figures see `resnet_cifar`.
    """
    return resnet_cifar(input_shape, num_classes, 56, **options)


def resnet110(
    input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build ResNet-110: 1.7 M parameters, published 6.43 % error on CIFAR-10.

    That is the best of five runs; their mean is 6.61 %. For shapes, options and
    figures see `resnet_cifar`.
    """
    return resnet_cifar(input_shape, num_classes, 110, **options)


def resnet_cifar(
    input_shape: tuple[int, int, int],
    num_classes: int,
    depth: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    **style: Any,
) -> keras.Model:
    """Build a ResNet for small images.

    He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", 2015
    (CVPR 2016), section 4.2 and table 6. Published CIFAR-10 test error, with
    four pixels of padding, random crops and flips:

        depth   parameters (trainable)   error
        20      269,722                  8.75 %
        32      464,154                  7.51 %
        44      658,586                  7.17 %
        56      853,018                  6.97 %
        110     1,727,962                6.43 % (6.61 +- 0.16)

    Beyond some depth, plain networks got worse on the training set too. Here two layers
    learn a residual that is added to their input; the identity is then easy to learn,
    and more depth does no harm.

    Layers and shapes at 32x32x3, n = (depth - 2) / 6:

        conv1                     16 filters 3x3              32x32
        conv2_1 ... conv2_n       blocks of two 3x3, 16       32x32
        conv3_1 ... conv3_n       32, the first at stride 2   16x16
        conv4_1 ... conv4_n       64, the first at stride 2   8x8
        pool                      average                     64
        logits                    fully connected             10

    A block, conv3_1 for example: conv3_1_a, conv3_1_b (each with normalisation),
    conv3_1_shortcut where the shape changes, conv3_1_add, conv3_1_act. The shortcuts
    are the paper's option A, without parameters; with option B's projections, which the
    ImageNet ResNets here have, ResNet-20 has 272,474.

    What differs from the paper: pixels scaled to -1..1 instead of the mean image
    subtracted. The paper starts ResNet-110 with a lower learning rate, which is up to
    the recipe.

    Args:
        input_shape: (height, width, channels), at least 4x4.
        num_classes: Number of logits.
        depth: 6n + 2.
        augmentation: Policy name, list of layers or None.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout precedes the logits.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=4
    )
    x = blocks.conv(x, 16, 3, strides=blocks.stride, name="conv1")
    for stage, filters in ((2, 16), (3, 32), (4, 64)):
        for block in range(1, (depth - 2) // 6 + 1):
            halve = block == 1 and stage > 2
            x = _block(
                blocks, x, filters, 2 if halve else 1, name=f"conv{stage}_{block}"
            )
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = blocks.drop(x, name="drop")
    return keras.Model(images, blocks.logits(x, num_classes), name=f"resnet{depth}")


def _block(
    blocks: Blocks, x: keras.KerasTensor, filters: int, strides: int, *, name: str
) -> keras.KerasTensor:
    """Add a residual block of two 3x3 layers (figure 2)."""
    residual = blocks.conv(x, filters, 3, strides=strides, name=f"{name}_a")
    residual = blocks.conv(residual, filters, 3, activate=False, name=f"{name}_b")
    if strides > 1 or x.shape[-1] != filters:
        x = IdentityShortcut(filters, strides=strides, name=f"{name}_shortcut")(x)
    x = layers.Add(name=f"{name}_add")([x, residual])
    return blocks.activate(x, name=f"{name}_act")
