"""Wide residual networks: residual blocks that are wide rather than many."""

from typing import Any

import keras
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.stem import image_input
from fovea.models.style import Style
from fovea.models.validation import check_count

# A block adds its input to what it computed, so that the padding is fixed.
STYLE = Style(normalisation="batch", excluded=("pooling", "padding"))


def wrn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    depth: int = 16,
    width: int = 4,
    **style: Any,
) -> keras.Model:
    """Build a wide ResNet, WRN-depth-width.

    Zagoruyko, Komodakis: "Wide Residual Networks", BMVC 2016, section 2 and table
    1. Published: WRN-28-10, with 36.5 M parameters, 4.00 % test error on CIFAR-10
    with crops and flips, 3.89 % with dropout.

    Hundreds of thin layers are computed one after the other, and many of them
    contribute little. Sixteen layers with more channels are as accurate and several
    times faster, because a device computes channels in parallel.

    Layers and shapes at 32x32x3, k = width, n = (depth - 4) / 6:

        conv1                  16 filters 3x3           32x32
        conv2_1 ... conv2_n    blocks of two 3x3, 16k   32x32
        conv3_1 ... conv3_n    32k, first at stride 2   16x16
        conv4_1 ... conv4_n    64k, first at stride 2   8x8
        norm, act, pool        average                  64k
        logits                 fully connected          10

    A block normalises and activates before it convolves (He et al. 2016,
    "pre-activation"): conv3_1_a_norm, conv3_1_a_act, conv3_1_a, conv3_1_b_norm,
    conv3_1_b_act, conv3_1_drop, conv3_1_b, conv3_1_shortcut where the shape
    changes, conv3_1_add. WRN-28-10 has 36,479,194 trainable parameters. The
    default, WRN-16-4, is the one that a laptop can train.

    What differs from the paper: pixels scaled to -1..1 instead of whitened or
    standardised. The figures are those of arXiv's later versions of the paper,
    which are better than the first one's.

    Args:
        input_shape: (height, width, channels), at least 4x4.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        depth: Number of layers with weights, 6n + 4.
        width: Factor of the number of channels.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Dropout acts between the two convolutions of each block.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    check_count("width", width)
    if not isinstance(depth, int) or depth < 10 or depth % 6 != 4:
        raise ValueError(
            "The depth must be 6n + 4, for example 10, 16, 22, 28 or 40: three groups "
            f"of n blocks of two layers, and four others. Received: depth={depth}"
        )
    blocks = Blocks(STYLE.updated(style))
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=4
    )
    x = _convolve(blocks, x, 16, 3, strides=blocks.stride, name="conv1")
    for group, filters in ((2, 16 * width), (3, 32 * width), (4, 64 * width)):
        for block in range(1, (depth - 4) // 6 + 1):
            halve = block == 1 and group > 2
            x = _block(
                blocks, x, filters, 2 if halve else 1, name=f"conv{group}_{block}"
            )
    x = blocks.normalise(x, name="norm")
    x = blocks.activate(x, name="act")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, blocks.logits(x, num_classes), name="wrn")


def _block(
    blocks: Blocks, x: keras.KerasTensor, filters: int, strides: int, *, name: str
) -> keras.KerasTensor:
    """Add a residual block of two pre-activated 3x3 layers (figure 1)."""
    ready = blocks.normalise(x, name=f"{name}_a_norm")
    ready = blocks.activate(ready, name=f"{name}_a_act")
    residual = _convolve(blocks, ready, filters, 3, strides=strides, name=f"{name}_a")
    residual = blocks.normalise(residual, name=f"{name}_b_norm")
    residual = blocks.activate(residual, name=f"{name}_b_act")
    residual = blocks.drop(residual, name=f"{name}_drop")
    residual = _convolve(blocks, residual, filters, 3, name=f"{name}_b")
    if strides > 1 or x.shape[-1] != filters:
        x = _convolve(
            blocks, ready, filters, 1, strides=strides, name=f"{name}_shortcut"
        )
    return layers.Add(name=f"{name}_add")([x, residual])


def _convolve(
    blocks: Blocks, x: keras.KerasTensor, filters: int, kernel: int, **options: Any
) -> keras.KerasTensor:
    """Convolve, without a bias where a normalisation follows."""
    return blocks.convolve(
        x, filters, kernel, use_bias=not blocks.normalised, **options
    )
