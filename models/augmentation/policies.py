"""Named policies: the layers, their order and their strengths."""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from fovea.models.augmentation.alternating_flip import AlternatingFlip
from fovea.models.augmentation.color_jitter import ColorJitter
from fovea.models.augmentation.cutmix import cutmix
from fovea.models.augmentation.cutout import Cutout
from fovea.models.augmentation.horizontal_flip import HorizontalFlip
from fovea.models.augmentation.mixup import mixup
from fovea.models.augmentation.rand_augment import RandAugment
from fovea.models.augmentation.random_affine import RandomAffine
from fovea.models.augmentation.random_resized_crop import RandomResizedCrop
from fovea.models.augmentation.random_shift import RandomShift
from fovea.models.validation import nearest

# Values of black and white.
Range = tuple[float, float]
Mixing = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def none(value_range: Range) -> list[keras.Layer]:
    """Return no layers."""
    return []


def mnist(value_range: Range) -> list[keras.Layer]:
    """Return small rotations, shifts and zooms, for handwritten digits.

    The distortions that LeCun et al. (1998, section III.C) found to lower
    LeNet-5's error: planar affine ones, no flips, because a mirrored digit is
    another sign.
    """
    return [
        RandomAffine(
            rotation=10,
            shift=0.08,
            zoom=0.1,
            fill_value=value_range[0],
            name="augment_affine",
        )
    ]


def cifar_standard(value_range: Range) -> list[keras.Layer]:
    """Return flips and shifts by up to 4 pixels, the standard augmentation.

    He et al.: "Deep Residual Learning", 2015, section 4.2, and nearly all papers since.
    """
    return [
        HorizontalFlip(name="augment_flip"),
        RandomShift(4, fill_value=value_range[0], name="augment_shift"),
    ]


def cifar_strong(value_range: Range) -> list[keras.Layer]:
    """Return the standard policy, RandAugment and a 16-pixel cutout.

    The order and the cutout are those of the RandAugment paper for CIFAR-10. For wide
    networks and long training: small networks underfit such images.
    """
    return [
        *cifar_standard(value_range),
        RandAugment(value_range, num_ops=2, magnitude=9, name="augment_rand"),
        Cutout(16, fill_value=value_range[0], name="augment_cutout"),
    ]


def cifar_airbench(value_range: Range) -> list[keras.Layer]:
    """Return alternating flips and shifts by up to 2 pixels, reflected at the border.

    Jordan: "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498: for
    short training, where no two successive epochs should be equal.
    """
    return [
        AlternatingFlip(value_range, name="augment_flip"),
        RandomShift(2, padding="reflect", name="augment_shift"),
    ]


def cifar_airbench95(value_range: Range) -> list[keras.Layer]:
    """Return alternating flips and shifts by up to 4 pixels, reflected at the border.

    The same author's for 95 % accuracy: for training that is long enough to overfit the
    weaker policy.
    """
    return [
        AlternatingFlip(value_range, name="augment_flip"),
        RandomShift(4, padding="reflect", name="augment_shift"),
    ]


def imagenet(value_range: Range) -> list[keras.Layer]:
    """Return crop-and-zoom, flips and colour jitter, for photographs.

    As in the common ImageNet recipes since GoogLeNet; a crop keeps at least a quarter
    of the area, since the images here are small.
    """
    return [
        RandomResizedCrop(area=(0.25, 1.0), name="augment_crop"),
        HorizontalFlip(name="augment_flip"),
        ColorJitter(
            value_range,
            brightness=0.4,
            contrast=0.4,
            saturation=0.4,
            hue=0.05,
            name="augment_color",
        ),
    ]


POLICIES: dict[str, Callable[[Range], list[keras.Layer]]] = {
    "none": none,
    "mnist": mnist,
    "cifar_standard": cifar_standard,
    "cifar_strong": cifar_strong,
    "cifar_airbench": cifar_airbench,
    "cifar_airbench95": cifar_airbench95,
    "imagenet": imagenet,
}
# Functions of (images, labels), for the input pipeline.
MIXINGS = {"mixup": mixup, "cutmix": cutmix}


def resolve(
    augmentation: str | list[keras.Layer] | None,
    fill_value: float,
    white_value: float = 1.0,
) -> list[keras.Layer]:
    """Return the layers that a builder's `augmentation` argument stands for.

    Args:
        augmentation: Name of a policy, a list of layers, or None for none.
        fill_value: Value of black, which is also that of pixels that a geometric layer
            leaves uncovered.
        white_value: Value of white.

    Raises:
        ValueError: If no policy has this name.
    """
    if augmentation is None:
        return []
    if not isinstance(augmentation, str):
        return list(augmentation)
    if augmentation not in POLICIES:
        raise ValueError(
            f"Unknown augmentation policy{nearest(augmentation, POLICIES)}; the "
            f"policies are {', '.join(POLICIES)}. Received: augmentation={augmentation}"
        )
    return POLICIES[augmentation]((fill_value, white_value))


def resolve_mixing(mixing: str, seed: int | None = None) -> Mixing:
    """Return the function (images, labels) -> (images, labels) with a name.

    It draws new random numbers at every call, and follows `batch` in the training
    pipeline; labels must be one-hot.

    Args:
        mixing: "mixup" or "cutmix".
        seed: Integer, or None for one that follows from `keras.utils.set_random_seed`.

    Raises:
        ValueError: If there is no mixing of this name.

    Example:
    ```python
    batches = tf.data.Dataset.from_tensor_slices((images, one_hot)).batch(128)
    batches = batches.map(augmentation.resolve_mixing("cutmix", seed=0))
    ```
    """
    if mixing not in MIXINGS:
        raise ValueError(
            f"Unknown mixing{nearest(mixing, MIXINGS)}; the mixings are "
            f"{', '.join(MIXINGS)}. Received: mixing={mixing}"
        )
    generator = keras.random.SeedGenerator(seed)
    return functools.partial(MIXINGS[mixing], generator=generator)
