"""Wide residual networks: wide rather than deep."""

import keras
from keras import layers

from fovea.models.blocks import Steps
from fovea.models.stem import image_input
from fovea.models.validation import whole


def wrn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: "str | list[keras.Layer] | None" = None,
    depth: int = 16,
    width: int = 4,
    activation: str = "relu",
    normalisation: str = "batch",
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    stride: int = 1,
    initialiser: str = "he_normal",
) -> keras.Model:
    """Build a wide ResNet, WRN-depth-width.

    Zagoruyko, Komodakis: "Wide Residual Networks", BMVC 2016, section 2 and table
    1. Published: WRN-28-10, with 36.5 M parameters, 4.00 % test error on CIFAR-10
    with crops and flips, 3.89 % with dropout.

    A thousand thin layers compute one after another, and many of them learn
    little. Sixteen layers with more maps each are as good and several times
    faster, because a device computes maps side by side.

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
        width: Factor of the number of maps.
        dropout: Share dropped between the two convolutions of each block.
        activation, normalisation, l1, l2, stride, initialiser: See
            `fovea.models.blocks.Steps`. Padding is "same", because a block adds its
            input to what it computed.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    whole("width", width)
    if not isinstance(depth, int) or depth < 10 or depth % 6 != 4:
        raise ValueError(
            "The depth must be 6n + 4, for example 10, 16, 22, 28 or 40: three groups "
            f"of n blocks of two layers, and four others. Received: depth={depth}"
        )
    step = Steps(
        activation=activation,
        normalisation=normalisation,
        dropout=dropout,
        l1=l1,
        l2=l2,
        stride=stride,
        initialiser=initialiser,
    )
    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=4
    )
    x = _convolve(step, x, 16, 3, strides=stride, name="conv1")
    for group, filters in ((2, 16 * width), (3, 32 * width), (4, 64 * width)):
        for block in range(1, (depth - 4) // 6 + 1):
            halve = block == 1 and group > 2
            x = _block(step, x, filters, 2 if halve else 1, name=f"conv{group}_{block}")
    x = step.normalise(x, name="norm")
    x = step.activate(x, name="act")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, step.logits(x, num_classes), name="wrn")


def _block(
    step: Steps, x: keras.KerasTensor, filters: int, strides: int, *, name: str
) -> keras.KerasTensor:
    """Add to the input what two pre-activated 3x3 layers make of it (figure 1)."""
    ready = step.normalise(x, name=f"{name}_a_norm")
    ready = step.activate(ready, name=f"{name}_a_act")
    residual = _convolve(step, ready, filters, 3, strides=strides, name=f"{name}_a")
    residual = step.normalise(residual, name=f"{name}_b_norm")
    residual = step.activate(residual, name=f"{name}_b_act")
    residual = step.drop(residual, name=f"{name}_drop")
    residual = _convolve(step, residual, filters, 3, name=f"{name}_b")
    if strides > 1 or x.shape[-1] != filters:
        x = _convolve(step, ready, filters, 1, strides=strides, name=f"{name}_shortcut")
    return layers.Add(name=f"{name}_add")([x, residual])


def _convolve(step: Steps, x: keras.KerasTensor, filters: int, kernel: int, **options):
    """Convolve; the next normalisation, if there is one, brings the bias."""
    use_bias = step.normalisation == "none"
    return step.convolve(x, filters, kernel, use_bias=use_bias, **options)
