"""A fully convolutional network: any image size, class scores at every position."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input
from fovea.models.style import Style

STYLE = Style(normalisation="batch", dropout=0.5, padding="same")


def fcn(
    input_shape: tuple[int | None, int | None, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    class_map: bool = False,
    **style: Any,
) -> keras.Model:
    """Build a fully convolutional classifier.

    Long, Shelhamer, Darrell: "Fully Convolutional Networks for Semantic
    Segmentation", CVPR 2015, section 3. Published for FCN-8s: 62.2 % mean IU on
    PASCAL VOC 2012.

    A fully connected layer is a convolution whose window is the whole map. Written as
    one, it also accepts larger images, and returns a map of scores instead of a vector.

    Layers and shapes at 32x32x3, and at any other size:

        conv1_1, conv1_2            64 filters 3x3     32x32    H x W
        pool1                       max 2x2            16x16
        conv2_1, conv2_2            128                16x16
        pool2                                          8x8
        conv3_1, conv3_2, conv3_3   256                8x8
        pool3                                          4x4      H/8 x W/8
        fc6, fc7                    256 filters 1x1    4x4
        class_map                   10 filters 1x1     4x4
        logits                      average            10

    The weights fit every size: those of a network trained at 32x32 can be set in one
    built with `input_shape=(None, None, 3)`. With `class_map=True` the model has two
    named outputs, a dictionary with `logits` and `class_map`, the float32 logits at
    every eighth pixel, (N, H/8, W/8, K).

    What differs from the paper: the trunk is the first three stages of VGG-16 instead
    of all five, and fc6 and fc7 are 256 filters 1x1 instead of 4,096 of 7x7 and 1x1, so
    that it can be trained from scratch on small images, for which it has batch
    normalisation (the paper starts from ImageNet weights). It is trained by the image's
    class instead of the pixels', so the upsampling and the skip connections of FCN-16s
    and FCN-8s could not be trained.

    Args:
        input_shape: (height, width, channels), at least 5x5; None for an arbitrary
            height or width.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        class_map: Whether the class map is an output too.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout follows fc6 and fc7.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(
        input_shape,
        num_classes,
        augmentation=augmentation,
        min_size=5,
        any_size=True,
    )
    for stage, (count, filters) in enumerate(((2, 64), (2, 128), (3, 256)), 1):
        for index in range(1, count + 1):
            first = stage == index == 1
            x = blocks.conv(
                x,
                filters,
                3,
                strides=blocks.stride if first else 1,
                name=f"conv{stage}_{index}",
            )
        x = blocks.pool(x, 2, padding="same", name=f"pool{stage}")
    x = blocks.conv(x, 256, 1, name="fc6")
    x = blocks.drop(x, name="drop6")
    x = blocks.conv(x, 256, 1, name="fc7")
    x = blocks.drop(x, name="drop7")
    scores = blocks.convolve(x, num_classes, 1, dtype="float32", name="class_map")
    logits = layers.GlobalAveragePooling2D(dtype="float32", name="logits")(scores)
    outputs = {"logits": logits, "class_map": scores} if class_map else logits
    return keras.Model(images, outputs, name="fcn")
