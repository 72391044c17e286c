"""Images and labels in memory."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """Images and labels, split for training and testing.

    Attributes:
        name: The name that `fovea.training.datasets.load.load` loads it by.
        x_train: uint8 (n, height, width, channels).
        y_train: int64 (n,), 0 to K-1.
        x_test: uint8 (m, height, width, channels); m is 0 without a test split.
        y_test: int64 (m,), 0 to K-1.
        class_names: K strings.
        source: Where the images came from, in words.
        train_files: n paths, if every image was a file of its own, else empty.
        test_files: m paths, or empty.
        skipped: Number of images left out because they could not be read.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    source: str
    train_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    skipped: int = 0

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """Number of classes, K."""
        return len(self.class_names)
