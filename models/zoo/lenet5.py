"""LeNet-5: the first convolutional network in wide use."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input
from fovea.models.style import Style

STYLE = Style(
    activation="tanh",
    pooling="average",
    padding="valid",
    initialiser="lecun_uniform",
)


def lenet5(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    **style: Any,
) -> keras.Model:
    """Build LeNet-5.

    LeCun, Bottou, Bengio, Haffner: "Gradient-Based Learning Applied to Document
    Recognition", Proc. IEEE 86(11), 1998, section II.B and figure 2. Published:
    0.95 % test error on MNIST, 0.8 % with distorted training images.

    Layers and shapes at 32x32x1, the paper's input size:

        c1      6 filters 5x5      28x28x6     156 parameters
        s2      average 2x2        14x14x6
        c3      16 filters 5x5     10x10x16    2,416
        s4      average 2x2        5x5x16
        c5      120 filters 5x5    1x1x120     48,120
        f6      fully connected    84          10,164
        logits  fully connected    10          850        (61,706 in all)

    A smaller image is padded with zeros to 32x32, as the paper does with MNIST's 28x28;
    on a larger one c5's map is larger than 1x1, as the paper describes.

    What differs from the paper: c3 is connected to all six maps of s2 (the paper's
    table I connects each map to some of them, to save arithmetic), s2 and s4 have no
    trainable coefficient and bias, tanh has no factors 1.7159 and 2/3, and the output
    layer is linear with softmax cross-entropy instead of radial basis functions. (With
    table I c3 has 1,516 parameters and the whole about 60,000, the number that is
    usually quoted for the paper; 61,706 is that of nearly all later code.) The scaling
    of the input is the paper's: background -0.1, ink 1.175, so that mean and variance
    on MNIST are roughly 0 and 1.

    Args:
        input_shape: (height, width, channels), at least 16x16.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout follows f6.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If the input is too small or an option is unusable.
    """
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(
        input_shape,
        num_classes,
        augmentation=augmentation,
        value_range=(-0.1, 1.175),
        min_size=16,
    )
    height, width = (max(0, 32 - size) for size in input_shape[:2])
    if height or width:
        x = layers.ZeroPadding2D(
            (
                (height // 2, height - height // 2),
                (width // 2, width - width // 2),
            ),
            name="frame",
        )(x)
    x = blocks.conv(x, 6, 5, strides=blocks.stride, name="c1")
    x = blocks.pool(x, 2, name="s2")
    x = blocks.conv(x, 16, 5, name="c3")
    x = blocks.pool(x, 2, name="s4")
    x = blocks.conv(x, 120, 5, name="c5")
    x = layers.Flatten(name="flatten")(x)
    x = blocks.dense(x, 84, name="f6")
    x = blocks.drop(x, name="drop6")
    return keras.Model(images, blocks.logits(x, num_classes), name="lenet5")
