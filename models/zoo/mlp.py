"""The multilayer perceptron: fully connected layers on the flattened image."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input
from fovea.models.style import Style
from fovea.models.validation import check_count

STYLE = Style(
    activation="tanh",
    initialiser="lecun_uniform",
    excluded=("pooling", "padding", "stride"),
)


def mlp(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    hidden: Sequence[int] | int = (300, 100),
    **style: Any,
) -> keras.Model:
    """Build a fully connected network with hidden layers.

    LeCun, Bottou, Bengio, Haffner: "Gradient-Based Learning Applied to Document
    Recognition", Proc. IEEE 86(11), 1998, section III.C: 28x28-300-100-10,
    later called LeNet-300-100. Published: 3.05 % test error on MNIST, 2.5 % with
    distorted training images.

    Layers and shapes at MNIST's 28x28x1:

        flatten                    784
        fc1     fully connected    300     235,500 parameters
        fc2     fully connected    100     30,100
        logits  fully connected    10      1,010       (266,610 in all)

    Every unit of fc1 is connected to every pixel, so the network does not use which
    pixels are neighbours: it learns equally well from images whose pixels are all
    permuted in the same way. At 32x32x3 fc1 alone has 921,900 parameters.

    What differs from the paper: softmax cross-entropy instead of squared error,
    tanh without the paper's factors 1.7159 and 2/3.

    Args:
        input_shape: (height, width, channels).
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        hidden: Number of units of each hidden layer, or of the only one.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout follows each hidden layer.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(input_shape, num_classes, augmentation=augmentation)
    x = layers.Flatten(name="flatten")(x)
    sizes = (hidden,) if isinstance(hidden, int) else hidden
    for index, units in enumerate(sizes, 1):
        check_count("hidden", units)
        x = blocks.dense(x, units, name=f"fc{index}")
        x = blocks.drop(x, name=f"drop{index}")
    return keras.Model(images, blocks.logits(x, num_classes), name="mlp")
