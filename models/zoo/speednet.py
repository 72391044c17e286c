"""SpeedNet: the project's own network, for the best accuracy for its compute."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from fovea.models.blocks import Blocks
from fovea.models.layers.batch_normalization import BatchNormalization
from fovea.models.layers.bias import Bias
from fovea.models.stem import image_input
from fovea.models.style import Style
from fovea.models.validation import check_count

STYLE = Style(
    activation="gelu",
    normalisation="batch",
    initialiser="dirac",
    excluded=("padding",),
)


def speednet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    widths: Sequence[int] = (64, 256, 256),
    whitening_bias: bool = False,
    **style: Any,
) -> keras.Model:
    """Build a small network that trains fast.

    After Jordan: "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024 (airbench94),
    section 3, which builds on Page's and hlb-CIFAR10's networks. Published: 94.0 %
    accuracy on CIFAR-10 in 0.36 PFLOP, where a tuned ResNet-18 needs 32 PFLOP for
    96.0 %.

    Layers and shapes at 32x32x3:

        whitening    24 filters 2x2, valid    31x31    312 parameters
        conv1_1      64 filters 3x3           31x31    13,824
        pool1        max 2x2                  15x15
        conv1_2      64                       15x15    36,864
        conv2_1      256                      15x15    147,456
        pool2        max 2x2                  7x7
        conv2_2      256                      7x7      589,824
        conv3_1      256                      7x7      589,824
        pool3        max 2x2                  3x3
        conv3_2      256                      3x3      589,824
        pool         largest of each map      256
        scores       fully connected, no bias 10       2,560
        logits       scores / 9               10

    and 1,152 biases of the normalisations: 1,971,640 in all.

    What makes it fast to train:

    - `whitening` projects 2x2 patches onto the principal directions of the training
      set's patches, each scaled to variance one, and onto their negatives; `whiten`
      computes them before training and freezes the layer.
    - Convolutions start as the identity (`Dirac`), so that the image reaches the last
      layer from the first step.
    - Normalisation has no scale, follows the pooling, and averages its statistics over
      few batches, because training is short.
    - Pooling directly after the first convolution of each stage: the second one
      costs a quarter.
    - The logits are scaled down, so that the predicted probabilities start nearly
      uniform.

    What differs from the paper: pixels scaled to -1..1 before the whitening instead of
    standardised, for which the whitening compensates; the biases of `whitening` are
    zero and frozen with its filters, unless `whitening_bias` makes them trainable,
    which adds 24 parameters. The recipe and test-time augmentation are not part of the
    model.

    Args:
        input_shape: (height, width, channels), at least 9x9.
        num_classes: Number of logits.
        augmentation: Policy name, list of layers or None.
        widths: Filters of the three stages' convolutions.
        whitening_bias: Whether each whitened map has a trainable bias, which requires
            the gradient with respect to the largest maps.
        **style: Options of `fovea.models.style.Style`; `STYLE` has the defaults.
            Stride is that of `whitening`; dropout precedes the scores.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If a size or an option is unusable.
    """
    blocks = Blocks(STYLE.updated(style))

    def normalise_and_activate(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        if blocks.style.normalisation == "batch":
            x = BatchNormalization(
                momentum=0.4, epsilon=1e-12, scale=False, name=f"{name}_norm"
            )(x)
        else:
            x = blocks.normalise(x, name=f"{name}_norm")
        return blocks.activate(x, name=f"{name}_act")

    images, x = image_input(
        input_shape, num_classes, augmentation=augmentation, min_size=9
    )
    # The four pixels of each channel have as many principal directions.
    x = blocks.convolve(
        x,
        2 * 4 * input_shape[2],
        2,
        strides=blocks.stride,
        padding="valid",
        activation=None if whitening_bias else blocks.activation,
        use_bias=not whitening_bias,
        name="whitening",
    )
    if whitening_bias:
        # PyTorch's default. Equal biases would keep opposite filters symmetrical.
        spread = (4 * input_shape[2]) ** -0.5
        start = keras.initializers.RandomUniform(-spread, spread)
        x = Bias(start, name="whitening_bias")(x)
        x = blocks.activate(x, name="whitening_act")
    use_bias = not blocks.normalised
    if len(widths) != 3:
        raise ValueError(
            "The widths are three numbers of filters, one for each stage. "
            f"Received: widths={widths}"
        )
    for stage, filters in enumerate(widths, 1):
        check_count("widths", filters)
        x = blocks.convolve(x, filters, 3, use_bias=use_bias, name=f"conv{stage}_1")
        x = blocks.pool(x, 2, name=f"pool{stage}")
        x = normalise_and_activate(x, name=f"conv{stage}_1")
        x = blocks.convolve(x, filters, 3, use_bias=use_bias, name=f"conv{stage}_2")
        x = normalise_and_activate(x, name=f"conv{stage}_2")
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    x = blocks.drop(x, name="drop")
    x = blocks.logits(x, num_classes, use_bias=False, name="scores")
    logits = layers.Rescaling(1 / 9, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="speednet")


def whiten(model: keras.Model, images: np.ndarray, *, epsilon: float = 5e-4) -> None:
    """Set the filters of a speednet's first layer from images, and freeze them.

    Args:
        model: Model built by `speednet`.
        images: uint8 (N, H, W, C) of the training set; 5,000 are enough.
        epsilon: Added to each direction's variance, to bound the amplification of weak
            directions.

    Example:
    ```python
    model = models.build("speednet", (32, 32, 3), 10)
    whiten(model, train_images[:5000])
    ```
    """
    pixels = keras.ops.convert_to_numpy(model.get_layer("normalisation")(images))
    pixels = pixels.astype("float32")
    height, width, channels = pixels.shape[1:]
    patches = np.stack(
        [
            pixels[:, y : height - 1 + y, x : width - 1 + x]
            for y in (0, 1)
            for x in (0, 1)
        ],
        axis=3,
    ).reshape(-1, 4 * channels)
    variances, directions = np.linalg.eigh(np.cov(patches, rowvar=False))
    filters = directions / np.sqrt(variances + epsilon)
    filters = np.concatenate([filters, -filters], axis=1)
    layer = model.get_layer("whitening")
    layer.kernel.assign(filters.reshape(2, 2, channels, -1))
    if layer.use_bias:
        layer.bias.assign(np.zeros(filters.shape[1]))
    layer.trainable = False


def prepare(model: keras.Model, images: np.ndarray) -> None:
    """Whiten with the first of the training images, which are in random order."""
    whiten(model, images[:5000])
