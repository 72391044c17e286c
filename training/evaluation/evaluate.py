"""Evaluate a model on labelled images, and choose the images of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.training.datasets import load
from fovea.training.datasets.dataset import Dataset
from fovea.training.evaluation.metrics import compute_metrics

if TYPE_CHECKING:
    import keras

TEST_TIME_AUGMENTATION = ("none", "mirror", "mirror_shift")
BATCH_SIZE = 500
# Metrics that are reported both with and without test-time augmentation.
AUGMENTED = ("accuracy", "accuracy_interval", "loss")


def evaluate(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    *,
    test_time_augmentation: str = "none",
) -> dict[str, Any]:
    """Compute a model's metrics on labelled images.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (n, height, width, channels).
        labels: Integers (n,).
        class_names: A name for each logit. Default: "0", "1", ...
        test_time_augmentation: As `predict_logits` takes it.

    Returns:
        The metrics of the model as it is served, see
        `fovea.training.evaluation.metrics.compute_metrics`. With test-time
        augmentation, `test_time_augmentation` has the `policy` and the `accuracy`,
        `accuracy_interval` and `loss` with it.

    Raises:
        ValueError: If there is no image, a logit is not finite, or there is no such
            test-time augmentation.
    """
    plain, augmented = _predict(model, images, test_time_augmentation, BATCH_SIZE)
    names = class_names or [str(label) for label in range(plain.shape[1])]
    result = compute_metrics(plain, labels, names)
    if test_time_augmentation != "none":
        with_it = compute_metrics(augmented, labels, names)
        result["test_time_augmentation"] = {
            "policy": test_time_augmentation,
            **{name: with_it[name] for name in AUGMENTED},
        }
    return result


def predict_logits(
    model: keras.Model,
    images: np.ndarray,
    *,
    test_time_augmentation: str = "none",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Return a model's logits for images.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (n, height, width, channels).
        test_time_augmentation: "none"; "mirror": the mean over an image and its
            mirror image; "mirror_shift": half of that, and half of the mean over
            the two shifted by a pixel, up-left and down-right (the scheme of
            airbench, arXiv 2404.00498).
        batch_size: Images in a batch.

    Returns:
        float32 (n, K).

    Raises:
        ValueError: If there is no image, or no such test-time augmentation.
    """
    return _predict(model, images, test_time_augmentation, batch_size)[1]


def select_split(
    dataset: Dataset, split: str, config: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, Sequence[str]]:
    """Return the images, labels and files of a split.

    Args:
        dataset: The run's data set.
        split: "test", or "validation" for what was held out of training.
        config: The run's config.json.

    Returns:
        uint8 images, integer labels, and the images' paths; no paths if the images
        were not files of their own.

    Raises:
        ValueError: If the split has no images, or cannot be reconstructed.
    """
    if split == "test":
        if not len(dataset.x_test):
            raise ValueError(
                "The data set has no test split; --split validation evaluates on the "
                f"training images that were held out. Received: dataset={dataset.name}"
            )
        return dataset.x_test, dataset.y_test, dataset.test_files
    share, seed = config["recipe"]["validation_split"], config["seed"]
    trained_from = config.get("training_images", len(dataset.x_train))
    if len(dataset.x_train) != trained_from:
        raise ValueError(
            "The held-out images are known only as long as the data set is the one "
            f"trained on, with {trained_from:,} training images. "
            f"Received: dataset={dataset.name} with {len(dataset.x_train):,}"
        )
    _, places = load.held_out(len(dataset.x_train), share, seed)
    if not len(places):
        raise ValueError(
            "There are no images to evaluate on: the run held none out of training"
            + ("" if len(dataset.x_test) else ", and the data set has no test split")
            + f". Received: validation_split={share}"
        )
    files = [dataset.train_files[place] for place in places if dataset.train_files]
    return dataset.x_train[places], dataset.y_train[places], files


def _predict(
    model: keras.Model, images: np.ndarray, policy: str, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits for the images as they are, and averaged over all views."""
    if policy not in TEST_TIME_AUGMENTATION:
        raise ValueError(
            "The test-time augmentation must be one of "
            f"{', '.join(TEST_TIME_AUGMENTATION)}. "
            f"Received: test_time_augmentation={policy}"
        )
    if not len(images):
        raise ValueError("There must be images to evaluate on. Received: 0 images")
    weighted = [
        (weight, model.predict(view, batch_size=batch_size, verbose=0))
        for weight, view in _views(images, policy)
    ]
    total = np.zeros_like(weighted[0][1])
    for weight, logits in weighted:
        total = total + weight * logits
    return weighted[0][1], total


def _views(images: np.ndarray, policy: str) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (weight, images), the images as they are first; weights sum to 1."""
    if policy == "none":
        yield 1.0, images
        return
    weight = 0.5 if policy == "mirror" else 0.25
    yield weight, images
    yield weight, images[:, :, ::-1]
    if policy == "mirror_shift":
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
        for shifted in (padded[:, :-2, :-2], padded[:, 2:, 2:]):
            yield weight / 2, shifted
            yield weight / 2, shifted[:, :, ::-1]
