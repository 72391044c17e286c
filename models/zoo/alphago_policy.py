"""AlphaGo's policy network: every point of the board is a class."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.layers.bias import Bias
from fovea.models.stem import image_input
from fovea.models.style import Style
from fovea.models.validation import check_choice, check_count

# A move must keep its position on the board: no pooling, "same" padding, stride 1.
STYLE = Style(excluded=("pooling", "padding", "stride"))


def alphago_policy(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    head: str | None = None,
    filters: int | None = None,
    **style: Any,
) -> keras.Model:
    """Build AlphaGo's supervised policy network.

    Silver et al.: "Mastering the Game of Go with Deep Neural Networks and Tree
    Search", Nature 529, 2016, Methods ("Neural network architecture"). Published:
    57 % of expert moves predicted.

    A pattern on the board has the same meaning at every position, so weights are
    shared; but the exact position matters, so there is no pooling, and all maps are as
    large as the board.

    Layers and shapes at 19x19x48, the paper's 48 feature planes:

        conv1            192 filters 5x5      19x19    230,592 parameters
        conv2 to conv12  192 filters 3x3      19x19    331,968 each
        conv13           1 filter 1x1         19x19    192
        logits           a bias for each move 361      361   (3,882,793 in all)

    The planes are binary: pass 0 and 255, which are scaled to 0 and 1.

    For images and their classes the last two layers are one filter 1x1 for each
    class and the average over its map, and there are 48 filters instead of 192.

    What differs from the paper: He's initialisation, the paper names none.

    Args:
        input_shape: (height, width, channels), at least 5x5.
        num_classes: Number of logits; height * width for moves.
        augmentation: Policy name, list of layers or None.
        head: "moves" (the paper's) or "classes"; None for moves where the number
            of classes is the number of points.
        filters: Number of maps; None for 192 with moves and 48 with classes.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout precedes conv13.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    images, x = image_input(
        input_shape,
        num_classes,
        augmentation=augmentation,
        value_range=(0.0, 1.0),
        min_size=5,
    )
    points = input_shape[0] * input_shape[1]
    if head is None:
        head = "moves" if num_classes == points else "classes"
    check_choice("head", head, ("moves", "classes"))
    if head == "moves" and num_classes != points:
        raise ValueError(
            f"A board of {input_shape[0]}x{input_shape[1]} has {points} moves, "
            f"but there are {num_classes} classes. Received: head={head}"
        )
    moves = head == "moves"
    if filters is None:
        filters = 192 if moves else 48
    check_count("filters", filters)
    blocks = Blocks(STYLE.updated(style))
    x = blocks.conv(x, filters, 5, name="conv1")
    for index in range(2, 13):
        x = blocks.conv(x, filters, 3, name=f"conv{index}")
    x = blocks.drop(x, name="drop")
    if moves:
        x = blocks.convolve(x, 1, 1, use_bias=False, name="conv13")
        x = layers.Flatten(name="board")(x)
        logits = Bias(dtype="float32", name="logits")(x)
    else:
        x = blocks.convolve(x, num_classes, 1, name="conv13")
        logits = layers.GlobalAveragePooling2D(dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="alphago_policy")
