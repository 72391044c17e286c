"""GoogLeNet: filters of several sizes in parallel."""

from dataclasses import replace
from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.layers.local_response_normalization import LocalResponseNormalization
from fovea.models.stem import image_input, is_imagenet_form
from fovea.models.style import NORMALISATIONS, Style
from fovea.models.validation import check_choice

# The paper's table 1: filters of the 1x1, of the 3x3 and its reduction before, of the
# 5x5 and its reduction before, and of the projection after the pooling.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


# Also takes normalisation="local_response"; normalisation and stride depend on the
# form. What is concatenated must be of one size, so that the padding is fixed.
STYLE = Style(
    normalisation=None,
    dropout=0.4,
    stride=None,
    initialiser="glorot_uniform",
    excluded=("padding",),
)


def googlenet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    stem: str | None = None,
    auxiliary: bool = False,
    **style: Any,
) -> keras.Model:
    """Build GoogLeNet, the first Inception network.

    Szegedy et al.: "Going Deeper with Convolutions", 2014 (CVPR 2015), section 5
    and table 1. Published: 6.67 % top-5 error on ImageNet for an ensemble of
    seven with 144 crops, 10.07 % for one network and one crop.

    Instead of one filter size, an inception module applies 1x1, 3x3 and 5x5 filters and
    pooling in parallel and concatenates the results. A 1x1 convolution in front of the
    larger filters (a bottleneck) reduces the channels and so the cost: without one,
    thirty-two 5x5 filters on 28x28x256 take 160.6 M multiply-adds.

    Layers and shapes at 224x224x3:

        conv1          64 filters 7x7, stride 2    112x112x64
        pool1, norm1   max 3x3, stride 2           56x56x64
        conv2_reduce   64 filters 1x1              56x56x64
        conv2, norm2   192 filters 3x3             56x56x192
        pool2          max 3x3, stride 2           28x28x192
        inception_3a, 3b                           28x28x480
        pool3                                      14x14x480
        inception_4a ... 4e                        14x14x832
        pool4                                      7x7x832
        inception_5a, 5b                           7x7x1024
        pool5          average                     1024
        logits         fully connected             1000

    6,998,552 parameters without the auxiliary heads, 13,378,280 with them: the
    counts of the paper's table and of Caffe's definition. (torchvision has 3x3
    filters where the paper has 5x5 and counts 6,624,904.)

    The auxiliary heads on 4a and 4d bring gradients into the middle of the network.
    With `auxiliary=True` the model has three named outputs, a dictionary with `logits`,
    `auxiliary1` and `auxiliary2`, all float32 logits, for training with the paper's
    loss weights 1, 0.3 and 0.3. For evaluation and serving take one output:
    `keras.Model(model.input, model.get_layer("logits").output)`.

    The CIFAR form, for images below 64x64, starts with 3x3 filters at stride 1 and has
    neither pool1 nor auxiliary heads; the modules' maps are 16x16, 8x8 and 4x4. It has
    batch normalisation, as its CIFAR versions have in the literature (92.9 to 95 %
    accuracy, with the modules at 32x32, 16x16 and 8x8).

    What differs from the paper: Glorot's initialisation, as in Caffe, the paper
    names none; pixels scaled to -1..1 instead of the mean subtracted.

    Args:
        input_shape: (height, width, channels), at least 9x9.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        stem: "imagenet" or "cifar" form; None goes by the image size.
        auxiliary: Whether to build the auxiliary heads; ImageNet form only.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Here normalisation may also be "local_response" (the paper's, at norm1 and
            norm2 only). A normalisation of None is the form's, "local_response" or
            "batch"; a stride of None is the form's, 2 or 1. Dropout precedes the
            logits.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    large = is_imagenet_form(stem, input_shape)
    if auxiliary and (not large or min(input_shape[:2]) < 65):
        raise ValueError(
            "The auxiliary heads belong to the ImageNet form and need images of at "
            f"least 65x65; {input_shape} is built without. "
            f"Received: auxiliary={auxiliary}"
        )
    values = STYLE.updated(style).completed(
        normalisation="local_response" if large else "batch", stride=2 if large else 1
    )
    check_choice(
        "normalisation", values.normalisation, ("local_response", *NORMALISATIONS)
    )
    local_response = values.normalisation == "local_response"
    blocks = Blocks(replace(values, normalisation="none") if local_response else values)

    def normalise(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        return LocalResponseNormalization(name=name)(x) if local_response else x

    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=9
    )
    x = blocks.conv(x, 64, 7 if large else 3, strides=blocks.stride, name="conv1")
    if large:
        x = blocks.pool(x, 3, strides=2, padding="same", name="pool1")
    x = normalise(x, name="norm1")
    x = blocks.conv(x, 64, 1, name="conv2_reduce")
    x = blocks.conv(x, 192, 3, name="conv2")
    x = normalise(x, name="norm2")
    x = blocks.pool(x, 3, strides=2, padding="same", name="pool2")

    modules = {}
    for name in INCEPTIONS:
        if name in ("4a", "5a"):
            x = blocks.pool(
                x, 3, strides=2, padding="same", name=f"pool{int(name[0]) - 1}"
            )
        x = modules[name] = _inception(blocks, x, name)

    x = layers.GlobalAveragePooling2D(name="pool5")(x)
    x = blocks.drop(x, name="drop5")
    outputs = blocks.logits(x, num_classes)
    if auxiliary:
        outputs = {
            "logits": outputs,
            "auxiliary1": _auxiliary(blocks, modules["4a"], num_classes, "auxiliary1"),
            "auxiliary2": _auxiliary(blocks, modules["4d"], num_classes, "auxiliary2"),
        }
    return keras.Model(images, outputs, name="googlenet")


def _inception(blocks: Blocks, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Apply four branches in parallel and concatenate their outputs."""
    ones, reduce3, threes, reduce5, fives, projection = INCEPTIONS[name]
    name = f"inception_{name}"
    branch1 = blocks.conv(x, ones, 1, name=f"{name}_1x1")
    branch3 = blocks.conv(x, reduce3, 1, name=f"{name}_3x3_reduce")
    branch3 = blocks.conv(branch3, threes, 3, name=f"{name}_3x3")
    branch5 = blocks.conv(x, reduce5, 1, name=f"{name}_5x5_reduce")
    branch5 = blocks.conv(branch5, fives, 5, name=f"{name}_5x5")
    pooled = blocks.pool(x, 3, strides=1, padding="same", name=f"{name}_pool")
    pooled = blocks.conv(pooled, projection, 1, name=f"{name}_pool_proj")
    return layers.Concatenate(name=f"{name}_output")(
        [branch1, branch3, branch5, pooled]
    )


def _auxiliary(
    blocks: Blocks, x: keras.KerasTensor, num_classes: int, name: str
) -> keras.KerasTensor:
    """Add an auxiliary head, a classifier on intermediate feature maps (section 5)."""
    x = layers.AveragePooling2D(5, strides=3, name=f"{name}_pool")(x)
    x = blocks.conv(x, 128, 1, name=f"{name}_conv")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = blocks.dense(x, 1024, name=f"{name}_fc")
    x = blocks.drop(x, rate=0.7, name=f"{name}_drop")
    return blocks.logits(x, num_classes, name=name)
