"""The arguments that select a data set."""

import argparse

import numpy as np
import pytest

from fovea.training.commands import data_arguments


def _own(path):
    """Write a user's data set: grey images of 5 x 7 pixels."""
    np.savez(
        path,
        x_train=np.arange(6 * 5 * 7, dtype=np.uint8).reshape(6, 5, 7),
        y_train=np.array([0, 1, 2, 0, 1, 2]),
        x_test=np.zeros((2, 5, 7), np.uint8),
        y_test=np.array([2, 0]),
    )
    return path


def _parsed(*words):
    parser = argparse.ArgumentParser()
    data_arguments.add_arguments(parser)
    return parser.parse_args(list(map(str, words)))


def test_the_arguments_select_the_images(tmp_path):
    path = _own(tmp_path / "own.npz")
    words = ("--dataset", path, "--image-size", "10x12", "--channels", 3)
    assert data_arguments.load_dataset(_parsed(*words)).input_shape == (10, 12, 3)
    words = ("--dataset", path, "--image-size", "9")
    assert data_arguments.load_dataset(_parsed(*words)).input_shape == (9, 9, 1)
    plain = _parsed("--dataset", path)
    fitted = data_arguments.load_dataset(plain, input_shape=(8, 6, 3))
    assert fitted.input_shape == (8, 6, 3)
    with pytest.raises(ValueError, match=r"takes images of 8x6.*--image-size 9"):
        data_arguments.load_dataset(_parsed(*words), input_shape=(8, 6, 3))


@pytest.mark.parametrize("text", ["0", "x", "3x", "4x4x3", "-3", "big"])
def test_an_invalid_size_is_rejected(text):
    with pytest.raises(ValueError, match="Received: --image-size"):
        data_arguments.parse_image_size(text)
