"""Where data sets are looked for, and what is refused."""

import socket

import numpy as np
import pytest

from training import data


def _arrays(**changed):
    arrays = {
        "x_train": np.zeros((6, 28, 28), np.uint8),
        "y_train": np.arange(6, dtype=np.uint8),
        "x_test": np.zeros((4, 28, 28), np.uint8),
        "y_test": np.arange(4, dtype=np.uint8),
    }
    arrays.update(changed)
    return {name: array for name, array in arrays.items() if array is not None}


def test_the_sample_is_stratified_and_always_the_same(sample):
    assert sample.x_train.shape == (4000, 28, 28, 1)
    assert sample.x_test.shape == (1000, 28, 28, 1)
    assert sample.x_train.dtype == np.uint8 and sample.x_train.max() == 255
    assert np.bincount(sample.y_train).tolist() == [400] * 10
    assert np.bincount(sample.y_test).tolist() == [100] * 10
    again = data.load("mnist_sample")
    assert np.array_equal(again.x_test, sample.x_test)
    assert np.array_equal(again.y_train, sample.y_train)


def test_no_digit_is_in_both_parts(sample):
    train = {image.tobytes() for image in sample.x_train}
    assert not train & {image.tobytes() for image in sample.x_test}


def test_a_named_directory_wins_over_the_environment(tmp_path, monkeypatch):
    named, environment = tmp_path / "named", tmp_path / "environment"
    for directory, value in ((named, 1), (environment, 2)):
        directory.mkdir()
        images = np.full((4, 28, 28), value, np.uint8)
        np.savez(directory / "mnist.npz", **_arrays(x_test=images))
    monkeypatch.setenv("FOVEA_DATA_DIR", str(environment))
    assert data.load("mnist").x_test.max() == 2
    loaded = data.load("mnist", named)
    assert loaded.x_test.max() == 1
    assert loaded.source == str(named / "mnist.npz")
    assert loaded.input_shape == (28, 28, 1) and loaded.num_classes == 10


def test_column_labels_and_colour_as_keras_keeps_cifar10(tmp_path):
    np.savez(
        tmp_path / "cifar10.npz",
        x_train=np.zeros((3, 32, 32, 3), np.uint8),
        y_train=np.array([[0], [9], [4]]),
        x_test=np.zeros((1, 32, 32, 3), np.uint8),
        y_test=np.array([[1]]),
    )
    loaded = data.load("cifar10", tmp_path)
    assert loaded.y_train.tolist() == [0, 9, 4]
    assert loaded.class_names[9] == "truck"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"y_test": None}, "must hold the arrays x_train, y_train, x_test and y_test"),
        ({"x_train": np.zeros((6, 28, 28), np.float32)}, "Received: float32"),
        ({"x_train": np.zeros((6, 27, 28), np.uint8)}, "must be uint8 of shape"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, "x_test of mnist must be uint8"),
        ({"y_train": np.zeros(5, np.uint8)}, "one for each image"),
        ({"y_train": np.zeros(6, np.float64)}, "must be integers"),
        ({"y_train": np.full(6, 10)}, "must be within 0..9. Received: labels 10..10"),
        ({"y_test": np.full(4, -1)}, "must be within 0..9. Received: labels -1..-1"),
        ({"y_train": np.array([None] * 6, object)}, "is not a readable .npz file"),
    ],
)
def test_an_unusable_file_is_refused_with_the_rule(tmp_path, changed, told):
    np.savez(tmp_path / "mnist.npz", **_arrays(**changed))
    with pytest.raises(ValueError) as refusal:
        data.load("mnist", tmp_path)
    assert told in str(refusal.value).replace(
        "x_train, y_train, x_test, y_test", "x_train, y_train, x_test and y_test"
    )
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive"])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"is not a readable \.npz file"):
        data.load("mnist", tmp_path)


def test_half_an_archive_is_refused(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez_compressed(path, **_arrays())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"is not a readable \.npz file"):
        data.load("mnist", tmp_path)


def test_an_array_alone_is_no_archive(tmp_path):
    with (tmp_path / "mnist.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"is not a readable \.npz file"):
        data.load("mnist", tmp_path)


def test_the_nearest_name_is_suggested():
    with pytest.raises(ValueError, match=r"did you mean cifar10\?"):
        data.load("cifar-10")


def test_a_silent_network_is_given_up_and_the_three_ways_are_named(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("FOVEA_DATA_DIR", raising=False)
    monkeypatch.setattr(data, "NETWORK_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        url = f"http://127.0.0.1:{never_answers.getsockname()[1]}/mnist.npz"
        known = data.KNOWN["mnist"]
        monkeypatch.setitem(
            data.KNOWN,
            "mnist",
            data._Known(known.image, known.class_names, url, known.cached),
        )
        with pytest.raises(FileNotFoundError) as error:
            data.load("mnist", tmp_path / "nowhere")
    told = str(error.value)
    assert "--data-dir or FOVEA_DATA_DIR" in told
    assert str(tmp_path / "keras" / "datasets") in told
    assert url in told and "timed out" in told


def test_keras_cache_is_used_when_it_is_there(tmp_path, monkeypatch):
    """Fashion-MNIST's files, as Keras caches them; it checks no hash of these."""
    import gzip

    cache = tmp_path / "datasets" / "fashion-mnist"
    cache.mkdir(parents=True)
    for part, count in (("train", 3), ("t10k", 2)):
        images = bytes(16) + bytes([count]) * (count * 28 * 28)
        labels = bytes(8) + bytes(range(count))
        (cache / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (cache / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # Keras read KERAS_HOME when it was imported.
    from keras.src.backend import config

    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path), raising=False)
    monkeypatch.delenv("FOVEA_DATA_DIR", raising=False)
    loaded = data.load("fashion_mnist")
    assert loaded.x_train.shape == (3, 28, 28, 1) and loaded.x_train.max() == 3
    assert loaded.y_test.tolist() == [0, 1]
