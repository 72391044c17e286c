"""Dilated convolutions: large receptive fields without pooling."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input
from fovea.models.style import Style
from fovea.models.validation import check_count

# The paper's table 1: dilation of context1 to context7.
DILATIONS = (1, 1, 2, 4, 8, 16, 1)


STYLE = Style(padding="same", initialiser="dirac", excluded=("pooling",))


def dilated(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    filters: int = 32,
    **style: Any,
) -> keras.Model:
    """Build a classifier around the dilated context module.

    Yu, Koltun: "Multi-Scale Context Aggregation by Dilated Convolutions", ICLR
    2016, section 3 and table 1 (the "Basic" module). The paper segments
    images with it and publishes no classification.

    Pooling enlarges the receptive field at the expense of resolution. A 3x3 filter with
    dilation d has an equally large field at full resolution; with d doubled at each
    layer the field grows exponentially with depth, the number of parameters linearly.

    Layers and shapes at 32x32x3; fields as in the paper's table, to which `front`
    adds two pixels:

        front       32 filters 3x3                 32x32    896 parameters
        context1    32 filters 3x3, dilation 1     32x32    9,248   field 3x3
        context2    dilation 1                     32x32    9,248   5x5
        context3    dilation 2                     32x32    9,248   9x9
        context4    dilation 4                     32x32    9,248   17x17
        context5    dilation 8                     32x32    9,248   33x33
        context6    dilation 16                    32x32    9,248   65x65
        context7    dilation 1                     32x32    9,248   67x67
        context8    10 filters 1x1                 32x32    330    (65,962 in all)
        logits      average                        10

    What differs from the paper: the input of the module is the image after one
    convolution instead of VGG-16's class maps, and its map of scores is averaged,
    because it classifies images instead of pixels. The initialisation is the paper's:
    each layer starts as the identity.

    Args:
        input_shape: (height, width, channels), at least 3x3.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        filters: Number of maps; the paper's C.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout precedes context8.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    check_count("filters", filters)
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=3
    )
    x = blocks.conv(x, filters, 3, strides=blocks.stride, name="front")
    for index, dilation in enumerate(DILATIONS, 1):
        x = blocks.conv(x, filters, 3, dilation_rate=dilation, name=f"context{index}")
    x = blocks.drop(x, name="drop")
    x = blocks.convolve(x, num_classes, 1, name="context8")
    logits = layers.GlobalAveragePooling2D(dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="dilated")
