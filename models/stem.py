"""The first layers of every architecture, and the form that suits the image size."""

import keras
from keras import layers

from fovea.models import augmentation as augmentations
from fovea.models.validation import check_choice


def image_input(
    input_shape: tuple[int | None, int | None, int],
    num_classes: int,
    *,
    augmentation: str | list[keras.Layer] | None = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
    min_size: int = 1,
    any_size: bool = False,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the input `images`, and the same images scaled and augmented.

    Args:
        input_shape: (height, width, channels).
        num_classes: Number of classes of the network being built; checked here
            so that the error is the same for every architecture.
        augmentation: Name of a policy of `fovea.models.augmentation`, a list of Keras
            layers, or None. Such layers act in training only.
        value_range: What 0 and 255 are mapped to. The lower end, black, is also the
            value of pixels that augmentation leaves uncovered.
        min_size: Smallest height and width that the architecture can take.
        any_size: Whether height and width may be None: unknown until the call.

    Returns:
        A pair of Keras tensors: uint8 (N, H, W, C) and float (N, H, W, C).

    Raises:
        ValueError: If a size, the number of classes or the policy is unusable.
    """
    known = [
        size
        for axis, size in enumerate(input_shape)
        if not (any_size and axis < 2 and size is None)
    ]
    if len(input_shape) != 3 or not all(_is_positive(size) for size in known):
        raise ValueError(
            "The input shape must be three positive integers, height, width and "
            f"channels. Received: input_shape={input_shape}"
        )
    if any(size is not None and size < min_size for size in input_shape[:2]):
        raise ValueError(
            f"Height and width must be at least {min_size} for this architecture. "
            f"Received: input_shape={input_shape}"
        )
    if not _is_positive(num_classes):
        raise ValueError(
            "The number of classes must be a positive integer. "
            f"Received: num_classes={num_classes}"
        )
    low, high = value_range
    images = layers.Input(input_shape, dtype="uint8", name="images")
    x = layers.Rescaling((high - low) / 255, offset=low, name="normalisation")(images)
    for layer in augmentations.resolve(augmentation, fill_value=low, white_value=high):
        x = layer(x)
    return images, x


def is_imagenet_form(
    stem: str | None, input_shape: tuple[int, int, int], *, smallest: int = 64
) -> bool:
    """Return whether to build a network's ImageNet form rather than its CIFAR form.

    Args:
        stem: The builder's option: "imagenet", "cifar", or None for the one that
            suits the size of the images.
        input_shape: (height, width, channels).
        smallest: Smallest height and width for the ImageNet form.

    Raises:
        ValueError: If there is no such stem or the images are too small for it.
    """
    large = all(isinstance(size, int) and size >= smallest for size in input_shape[:2])
    if stem is None:
        return large
    check_choice("stem", stem, ("cifar", "imagenet"))
    if stem == "imagenet" and not large:
        raise ValueError(
            f"The ImageNet form needs images of at least {smallest}x{smallest}; "
            f"{input_shape} suits stem=cifar. Received: stem={stem}"
        )
    return stem == "imagenet"


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
