"""Receptive fields without shared weights: halfway to a convolutional network."""

import keras
from keras import layers

from fovea.models.blocks import Steps
from fovea.models.stem import image_input
from fovea.models.validation import whole


def locally_connected(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: "str | list[keras.Layer] | None" = None,
    filters: int = 8,
    activation: str = "tanh",
    normalisation: str = "none",
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    padding: str | None = None,
    stride: int = 2,
    initialiser: str = "lecun_uniform",
) -> keras.Model:
    """Build a network whose units each see a window, with weights of their own.

    LeCun: "Generalization and Network Design Strategies", University of Toronto
    CRG-TR-89-4, 1989: Net-3, on handwritten digits of 16x16. It stands
    between a fully connected network (Net-2) and networks that share weights as
    well (Net-4, Net-5): the steps from the multilayer perceptron to the
    convolutional network.

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
        activation, normalisation, dropout, l1, l2, padding, stride,
            initialiser: See `fovea.models.blocks.Steps`. Dropout precedes the logits.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    whole("filters", filters)
    step = Steps(
        activation=activation,
        normalisation=normalisation,
        dropout=dropout,
        l1=l1,
        l2=l2,
        padding=padding,
        stride=stride,
        initialiser=initialiser,
    )
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=9
    )
    x = step.connect_locally(x, filters, 3, strides=stride, padding="same", name="h1")
    x = step.connect_locally(x, filters, 5, padding="valid", name="h2")
    x = layers.Flatten(name="flatten")(x)
    x = step.drop(x, name="drop")
    return keras.Model(images, step.logits(x, num_classes), name="locally_connected")
