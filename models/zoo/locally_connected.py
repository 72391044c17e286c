"""A locally connected network: receptive fields without shared weights."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input
from fovea.models.style import Style
from fovea.models.validation import check_count

STYLE = Style(
    activation="tanh", stride=2, initialiser="lecun_uniform", excluded=("pooling",)
)


def locally_connected(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    filters: int = 8,
    **style: Any,
) -> keras.Model:
    """Build a network of locally connected layers.

    LeCun: "Generalization and Network Design Strategies", University of Toronto
    CRG-TR-89-4, 1989: Net-3, on handwritten digits of 16x16. It is between a fully
    connected network (Net-2) and networks that also share weights (Net-4, Net-5), on
    the way from the multilayer perceptron to the convolutional network.

    Layers and shapes at the paper's 16x16x1, with one filter at each position:

        h1      fields 3x3, stride 2    8x8     640 parameters
        h2      fields 5x5              4x4     416
        logits  fully connected         10      170      (1,226 in all)

    What differs from the paper: eight filters at each position by default, for
    larger images (`filters=1` is Net-3), softmax cross-entropy instead of squared
    error, tanh without the paper's scaling.

    Args:
        input_shape: (height, width, channels), at least 9x9.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        filters: Number of filters at each position.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout precedes the logits.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    check_count("filters", filters)
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=9
    )
    x = blocks.connect_locally(
        x, filters, 3, strides=blocks.stride, padding="same", name="h1"
    )
    x = blocks.connect_locally(x, filters, 5, padding="valid", name="h2")
    x = layers.Flatten(name="flatten")(x)
    x = blocks.drop(x, name="drop")
    return keras.Model(images, blocks.logits(x, num_classes), name="locally_connected")
