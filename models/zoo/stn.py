"""Spatial transformer network: classify an image that is resampled as learned."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.layers.spatial_transformer import SpatialTransformer
from fovea.models.stem import image_input
from fovea.models.style import Style

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


STYLE = Style(padding="valid")


def stn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    **style: Any,
) -> keras.Model:
    """Build a small CNN behind an affine spatial transformer.

    Jaderberg, Simonyan, Zisserman, Kavukcuoglu: "Spatial Transformer Networks", NIPS
    2015, section 4.1: ST-CNN with an affine transformation. It improves accuracy on
    distorted digits, and little on MNIST as it is.

    The localisation network, layers `loc_*`, takes the image at half its size and
    computes theta, the six numbers of an affine map, initially the identity; the
    sampler resamples the image by that map, and the CNN classifies the result. The
    transformer acts on the input, because one on feature maps cannot turn the maps of a
    rotated image into those of an upright one (Finnveden et al. 2020).

    Layers and shapes at 28x28x1:

        loc_pool1    max 2x2                     14x14x1
        loc_conv1    20 filters 5x5              10x10x20    520 parameters
        loc_pool2    max 2x2                     5x5x20
        loc_conv2    20 filters 5x5              1x1x20      10,020
        loc_fc       fully connected             50          1,050
        theta        fully connected             6           306
        transformer  affine grid, bilinear       28x28x1
        conv1        32 filters 9x9              20x20x32    2,624
        pool1        max 2x2                     10x10x32
        conv2        32 filters 7x7              4x4x32      50,208
        pool2        max 2x2                     2x2x32
        logits       fully connected             10          1,290 (66,018 in all)

    What differs from the paper: the paper gives no sizes of the localisation network;
    here they are those of the widely used reimplementation in Lasagne. He's
    initialisation.

    Args:
        input_shape: (height, width, channels), at least 28x28.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Stride is that of conv1; dropout precedes the logits.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    blocks = Blocks(STYLE.updated(style))
    # Black is 0, which is the sampler's value outside the image.
    images, image = image_input(
        input_shape,
        num_classes,
        augmentation=augmentation,
        value_range=(0.0, 1.0),
        min_size=28,
    )
    x = blocks.pool(image, 2, name="loc_pool1")
    x = blocks.conv(x, 20, 5, padding="valid", name="loc_conv1")
    x = blocks.pool(x, 2, name="loc_pool2")
    x = blocks.conv(x, 20, 5, padding="valid", name="loc_conv2")
    x = layers.Flatten(name="loc_flatten")(x)
    x = blocks.dense(x, 50, name="loc_fc")
    theta = layers.Dense(
        6,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(_IDENTITY),
        dtype="float32",
        name="theta",
    )(x)
    x = SpatialTransformer(name="transformer")([image, theta])

    x = blocks.conv(x, 32, 9, strides=blocks.stride, padding="valid", name="conv1")
    x = blocks.pool(x, 2, name="pool1")
    x = blocks.conv(x, 32, 7, padding="valid", name="conv2")
    x = blocks.pool(x, 2, name="pool2")
    x = layers.Flatten(name="flatten")(x)
    x = blocks.drop(x, name="drop")
    return keras.Model(images, blocks.logits(x, num_classes), name="stn")
