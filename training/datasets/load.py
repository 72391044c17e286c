"""Load a data set by name, and hold out a part of it."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from fovea.training.datasets import folder, known, npz
from fovea.training.datasets.dataset import Dataset
from fovea.training.datasets.known import SAMPLE

__all__ = ["SAMPLE", "Dataset"]


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    skip_bad: bool = False,
) -> Dataset:
    """Load a data set.

    Args:
        name: A known name (mnist, fashion_mnist, cifar10, mnist_sample), or
            "folder:PATH" (see `fovea.training.datasets.folder`), or "npz:PATH" or a
            path that ends in .npz (see `fovea.training.datasets.npz`).
        data_dir: Directory that holds NAME.npz of a known name; see
            `fovea.training.datasets.known`. Default: the environment's FOVEA_DATA_DIR.
        image_size: (height, width) that the images are resized to. Default: their
            own; a folder's if all are of one small size, else 32 x 32.
        channels: 1 for grey, 3 for colour. Default: the images' own.
        skip_bad: Leave out a folder's unreadable images instead of raising.

    Raises:
        ValueError: If the name is unknown, or the data are invalid.
        OSError: If the data were not found.
    """
    kind, _, path = name.partition(":")
    if kind in ("folder", "npz") and not path:
        raise ValueError(
            f"The name of a data set on disk holds its path, {kind}:PATH. "
            f"Received: dataset={name}"
        )
    if kind == "folder":
        return folder.load(Path(path), image_size, channels, skip_bad)
    if kind == "npz":
        dataset = npz.load(Path(path))
    elif name.endswith(".npz"):
        dataset = npz.load(Path(name))
    else:
        dataset = known.load(name, data_dir)
    height, width, depth = dataset.input_shape
    wanted = (*(image_size or (height, width)), channels or depth)
    return dataset if wanted == (height, width, depth) else _fit(dataset, wanted)


def load_for(
    config: dict[str, Any],
    data_dir: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> Dataset:
    """Load the data set that a run was trained on, in the same size and depth.

    Args:
        config: The run's config.json.
        data_dir: See `load`.
        name: The data set's present name, if it has moved; it must have the same
            classes.

    Raises:
        ValueError: If the data set's classes are not the run's; see also `load`.
        OSError: If the data were not found.
    """
    height, width, channels = config["input_shape"]
    dataset = load(
        name or config["dataset"],
        data_dir,
        image_size=(height, width),
        channels=channels,
        skip_bad=config.get("skipped_images", 0) > 0,
    )
    if list(dataset.class_names) != config["class_names"]:
        raise ValueError(
            "The data set must have the classes that the run was trained for: "
            f"{', '.join(config['class_names'])}. Received: dataset={dataset.name} "
            f"with the classes {', '.join(dataset.class_names)}"
        )
    return dataset


def short_name(name: str) -> str:
    """Return a data set's name for a title or a file: without prefix and path."""
    kind, _, path = name.partition(":")
    return Path(path).stem if kind == "npz" else Path(path).name if path else name


def held_out(images: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose which of the training images are held out.

    Args:
        images: Number of training images.
        share: Share of them to hold out, 0 to below 1.
        seed: Seed of the random choice.

    Returns:
        Indices of the images to train on, and of those held out, each in random
        order.

    Raises:
        ValueError: If no image would be left to train on, or the share is out of range.
    """
    if not 0 <= share < 1:
        raise ValueError(
            "The held-out share must be at least 0 and below 1. "
            f"Received: validation_split={share}"
        )
    order = np.random.default_rng(seed).permutation(images)
    count = round(share * images)
    if count == images:
        raise ValueError(
            "The held-out share must leave images to train on. "
            f"Received: validation_split={share} of {images} images"
        )
    return order[count:], order[:count]


def split(
    dataset: Dataset, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split the training images into those to train on and those held out.

    Args:
        dataset: The data set; its test split is not touched.
        share: Share of the training images to hold out, 0 to below 1.
        seed: Seed of the random choice.

    Returns:
        x_train, y_train, x_validation, y_validation; the last two are empty for a
        share of 0.

    Raises:
        ValueError: If no image would be left to train on, or the share is out of range.
    """
    keep, out = held_out(len(dataset.x_train), share, seed)
    x, y = dataset.x_train, dataset.y_train
    return x[keep], y[keep], x[out], y[out]


def _fit(dataset: Dataset, shape: tuple[int, int, int]) -> Dataset:
    from fovea.training.datasets import image_ops

    return dataclasses.replace(
        dataset,
        x_train=image_ops.fit_images(dataset.x_train, shape),
        x_test=image_ops.fit_images(dataset.x_test, shape),
    )
