"""Where data sets are searched, and which are rejected."""

import dataclasses
import socket

import numpy as np
import pytest

from fovea.training.datasets import known, load


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
    again = load.load("mnist_sample")
    assert np.array_equal(again.x_test, sample.x_test)
    assert np.array_equal(again.y_train, sample.y_train)


def test_no_digit_is_in_both_parts(sample):
    train = {image.tobytes() for image in sample.x_train}
    assert not train & {image.tobytes() for image in sample.x_test}


def test_a_given_directory_overrides_the_environment(tmp_path, monkeypatch):
    named, environment = tmp_path / "named", tmp_path / "environment"
    for directory, value in ((named, 1), (environment, 2)):
        directory.mkdir()
        images = np.full((4, 28, 28), value, np.uint8)
        np.savez(directory / "mnist.npz", **_arrays(x_test=images))
    monkeypatch.setenv("FOVEA_DATA_DIR", str(environment))
    assert load.load("mnist").x_test.max() == 2
    loaded = load.load("mnist", named)
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
    loaded = load.load("cifar10", tmp_path)
    assert loaded.y_train.tolist() == [0, 9, 4]
    assert loaded.class_names[9] == "truck"


@pytest.mark.parametrize(
    ("changed", "message"),
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
def test_an_unusable_file_is_rejected_with_the_rule(tmp_path, changed, message):
    np.savez(tmp_path / "mnist.npz", **_arrays(**changed))
    with pytest.raises(ValueError) as error:
        load.load("mnist", tmp_path)
    assert message in str(error.value).replace(
        "x_train, y_train, x_test, y_test", "x_train, y_train, x_test and y_test"
    )
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive"])
def test_a_damaged_file_is_rejected(tmp_path, content):
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"is not a readable \.npz file"):
        load.load("mnist", tmp_path)


def test_a_truncated_archive_is_rejected(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez_compressed(path, **_arrays())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"is not a readable \.npz file"):
        load.load("mnist", tmp_path)


def test_a_single_array_is_not_an_archive(tmp_path):
    with (tmp_path / "mnist.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"is not a readable \.npz file"):
        load.load("mnist", tmp_path)


def test_the_nearest_name_is_suggested():
    with pytest.raises(ValueError, match=r"did you mean cifar10\?"):
        load.load("cifar-10")


def test_a_download_times_out_and_the_error_names_three_alternatives(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("FOVEA_DATA_DIR", raising=False)
    monkeypatch.setattr(known, "NETWORK_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mnist.npz"
        mnist = dataclasses.replace(known.KNOWN["mnist"], url=url)
        monkeypatch.setitem(known.KNOWN, "mnist", mnist)
        with pytest.raises(FileNotFoundError) as error:
            load.load("mnist", tmp_path / "nowhere")
    message = str(error.value)
    assert "--data-dir or FOVEA_DATA_DIR" in message
    assert str(tmp_path / "keras" / "datasets") in message
    assert url in message and "timed out" in message


def test_keras_cache_is_used_if_it_exists(tmp_path, monkeypatch):
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
    loaded = load.load("fashion_mnist")
    assert loaded.x_train.shape == (3, 28, 28, 1) and loaded.x_train.max() == 3
    assert loaded.y_test.tolist() == [0, 1]


def _own(path, **changed):
    arrays = {
        "x_train": np.arange(6 * 5 * 7, dtype=np.uint8).reshape(6, 5, 7),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": np.zeros((2, 5, 7), np.uint8),
        "y_test": np.array([2, 0]),
        **changed,
    }
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize("prefix", ["npz:", ""])
def test_user_arrays_are_loaded_by_their_path(tmp_path, monkeypatch, prefix):
    _own(tmp_path / "own.npz")
    monkeypatch.chdir(tmp_path)
    loaded = load.load(f"{prefix}own.npz")
    assert loaded.name == f"npz:{tmp_path / 'own.npz'}"
    assert loaded.class_names == ("0", "1", "2")
    assert loaded.input_shape == (5, 7, 1) and loaded.x_test.shape == (2, 5, 7, 1)
    assert loaded.y_train.tolist() == [0, 1, 2, 0, 1, 2]
    assert loaded.y_train.dtype == np.int64
    assert np.array_equal(load.load(loaded.name).x_train, loaded.x_train)
    assert load.short_name(loaded.name) == "own"


def test_user_arrays_may_have_names_gaps_colour_and_no_test_part(tmp_path):
    path = _own(
        tmp_path / "own.npz",
        x_train=np.zeros((3, 8, 9, 3), np.uint8),
        y_train=np.array([[3], [0], [0]]),
        x_test=None,
        y_test=None,
        class_names=np.array(["ant", "bee", "cat", "dog"]),
    )
    loaded = load.load(str(path))
    assert loaded.class_names == ("ant", "bee", "cat", "dog")
    assert loaded.y_train.tolist() == [3, 0, 0]
    assert loaded.x_test.shape == (0, 8, 9, 3) and loaded.y_test.shape == (0,)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_train": None}, "must hold the arrays x_train, y_train"),
        ({"y_test": None}, "must hold the arrays x_train, y_train, x_test, y_test"),
        ({"x_train": np.zeros((6, 5, 7), np.float32)}, "Received: float32"),
        ({"x_train": np.zeros((6, 5, 7, 2), np.uint8)}, "(n, height, width, 3)"),
        ({"x_train": np.zeros((0, 5, 7), np.uint8)}, "x_train must be uint8"),
        ({"x_test": np.zeros((2, 7, 5), np.uint8)}, "of shape (n, 5, 7)"),
        ({"y_train": np.arange(5)}, "one for each image"),
        ({"y_train": np.linspace(0, 2, 6)}, "must be integers"),
        ({"y_train": np.array([0, 1, -1, 0, 1, 2])}, "Received: labels -1, 0, 1, 2"),
        ({"y_train": np.array([0, 1, 3, 0, 1, 3])}, "Received: labels 0, 1, 3 from"),
        ({"y_train": np.array([1, 2, 1, 2, 1, 2])}, "every label from 0"),
        ({"y_train": np.zeros(6, int)}, "at least 2 classes"),
        ({"y_test": np.array([3, 0])}, "within 0..2. Received: labels 0..3"),
        ({"class_names": np.array(["a", "b"])}, "within 0..1. Received: labels 0..2"),
        ({"class_names": np.array(["a", "b", "a"])}, "different texts"),
        ({"class_names": np.array(["only"])}, "at least 2 different texts"),
        ({"class_names": np.array([1, 2, 3])}, "different texts"),
    ],
)
def test_unusable_user_arrays_are_rejected(tmp_path, changed, message):
    path = _own(tmp_path / "own.npz", **changed)
    with pytest.raises(ValueError) as error:
        load.load(str(path))
    assert message in str(error.value)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must exist.*nowhere\.npz$"):
        load.load(f"npz:{tmp_path}/nowhere.npz")


@pytest.mark.parametrize("name", ["folder:", "npz:"])
def test_a_path_must_be_given(name):
    with pytest.raises(ValueError, match=rf"{name}PATH\. Received: dataset={name}$"):
        load.load(name)


def test_images_are_converted_to_the_requested_size_and_depth(sample, tmp_path):
    """As in a served model, so as in Pillow, except for rounding."""
    from PIL import Image

    few = sample.x_train[:20, ..., 0]
    path = _own(
        tmp_path / "own.npz",
        x_train=few,
        y_train=np.arange(20) % 2,
        x_test=None,
        y_test=None,
    )
    loaded = load.load(str(path), image_size=(20, 30), channels=3)
    assert loaded.x_train.shape == (20, 20, 30, 3)
    assert loaded.x_test.shape == (0, 20, 30, 3)
    for image, original in zip(loaded.x_train, few, strict=True):
        wanted = Image.fromarray(original).resize((30, 20), Image.Resampling.BILINEAR)
        difference = image.astype(int) - np.asarray(wanted)[..., np.newaxis]
        assert np.abs(difference).max() <= 1
    assert load.load(str(path), image_size=(28, 28)).x_train.shape == (20, 28, 28, 1)


def test_the_held_out_part_is_a_share_of_all_and_depends_on_the_seed_alone(digits):
    x, y, x_out, y_out = load.split(digits, 0.1, seed=3)
    assert len(x) == len(y) == 900 and len(x_out) == len(y_out) == 100
    keep, out = load.held_out(1000, 0.1, seed=3)
    assert sorted([*keep, *out]) == list(range(1000))
    assert np.array_equal(digits.x_train[out], x_out)
    assert np.array_equal(digits.y_train[keep], y)
    # Runs of earlier versions held out these.
    assert out.tolist() == np.random.default_rng(3).permutation(1000)[:100].tolist()
    assert not np.array_equal(out, load.held_out(1000, 0.1, seed=4)[1])
    assert len(load.split(digits, 0, seed=3)[2]) == 0


@pytest.mark.parametrize("share", [-0.1, 1.0, 0.9999, float("nan")])
def test_an_invalid_share_is_rejected(digits, share):
    with pytest.raises(ValueError, match="Received: validation_split="):
        load.split(digits, share, seed=0)


def test_a_run_s_data_set_is_restored(tmp_path):
    path = _own(tmp_path / "own.npz")
    config = {
        "dataset": f"npz:{path}",
        "input_shape": [10, 14, 3],
        "class_names": ["0", "1", "2"],
    }
    assert load.load_for(config).input_shape == (10, 14, 3)
    moved = path.rename(tmp_path / "moved.npz")
    with pytest.raises(FileNotFoundError):
        load.load_for(config)
    assert load.load_for(config, name=str(moved)).input_shape == (10, 14, 3)
    with pytest.raises(ValueError, match="must have the classes that the run was"):
        load.load_for({**config, "class_names": ["a", "b", "c"]}, name=str(moved))
