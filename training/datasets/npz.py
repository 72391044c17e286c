"""A data set in an .npz file, in the layout of Keras' data sets."""

from pathlib import Path

import numpy as np

from fovea.training.datasets.dataset import Dataset

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load(path: Path) -> Dataset:
    """Load a data set from an .npz file.

    Its arrays are x_train and y_train; x_test and y_test, or neither; and class_names.
    Without class_names the classes are named 0 to K-1, and each must have a training
    image.

    Args:
        path: The file; becomes part of the data set's name as an absolute path.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read, or an array is missing or invalid.
    """
    path = path.expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(
            f"The .npz file of a data set must exist. Received: dataset=npz:{path}"
        )
    arrays = read(path)
    needed = ARRAYS if {"x_test", "y_test"} & set(arrays) else ARRAYS[:2]
    require(arrays, needed, path)
    x_train = arrays["x_train"]
    if x_train.dtype != np.uint8 or not _are_images(x_train) or not x_train.size:
        raise ValueError(
            "x_train must be uint8 of shape (n, height, width), (n, height, width, 1) "
            f"or (n, height, width, 3). Received: {x_train.dtype} of shape "
            f"{x_train.shape} from {path}"
        )
    # A test split without images counts as missing.
    for name in [
        name for name in ("x_test", "y_test") if not len(arrays.get(name, ()))
    ]:
        arrays.pop(name, None)
    class_names = None
    if "class_names" in arrays:
        class_names = _class_names(arrays["class_names"], path)
    return check(f"npz:{path}", arrays, x_train.shape[1:], class_names, str(path))


def read(path: Path) -> dict[str, np.ndarray]:
    """Read those arrays of an .npz file that belong to the layout.

    Raises:
        ValueError: If the file cannot be read.
    """
    layout = (*ARRAYS, "class_names")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {key: file[key] for key in file.files if key in layout}
    # What a damaged archive raises depends on where the damage is.
    except Exception as error:
        raise ValueError(
            f"{path} is not a readable .npz file: {error or type(error).__name__}"
        ) from error


def require(arrays: dict[str, np.ndarray], names: tuple[str, ...], path: Path) -> None:
    """Raise ValueError unless all named arrays are present."""
    if not set(names) <= set(arrays):
        raise ValueError(
            f"{path} must hold the arrays {', '.join(names)}. "
            f"Received: arrays {', '.join(arrays) or '(none)'}"
        )


def check(
    name: str,
    arrays: dict[str, np.ndarray],
    image: tuple[int, ...],
    class_names: tuple[str, ...] | None,
    source: str,
) -> Dataset:
    """Check the arrays of a data set and return it.

    Args:
        name: The data set's name.
        arrays: x_train and y_train, optionally x_test and y_test.
        image: Shape that every image must have; without channels for grey.
        class_names: A name for each label; None names the classes 0 to K-1.
        source: Where the arrays came from, in words.

    Raises:
        ValueError: If a shape, a dtype or a label is wrong.
    """
    x_train, y_train = _split(name, "train", arrays, image, source)
    if class_names is None:
        class_names = _numbered(y_train, source)
    _check_labels(name, "train", y_train, len(class_names), source)
    if "x_test" in arrays:
        x_test, y_test = _split(name, "test", arrays, image, source)
        _check_labels(name, "test", y_test, len(class_names), source)
    else:
        x_test = np.empty((0, *x_train.shape[1:]), np.uint8)
        y_test = np.empty(0, np.int64)
    return Dataset(name, x_train, y_train, x_test, y_test, class_names, source)


def _split(
    name: str,
    split: str,
    arrays: dict[str, np.ndarray],
    image: tuple[int, ...],
    source: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a split, with channels, and its labels as int64 (n,)."""
    x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
    if x.dtype != np.uint8 or x.shape[1:] != image or not len(x):
        shape = ", ".join(["n", *map(str, image)])
        raise ValueError(
            f"x_{split} of {name} must be uint8 of shape ({shape}). Received: "
            f"{x.dtype} of shape {x.shape} from {source}"
        )
    if y.shape not in ((len(x),), (len(x), 1)) or y.dtype.kind not in "iu":
        raise ValueError(
            f"y_{split} of {name} must be integers of shape ({len(x)},), one for "
            f"each image. Received: {y.dtype} of shape {y.shape} from {source}"
        )
    return x if x.ndim == 4 else x[..., np.newaxis], y.reshape(-1).astype(np.int64)


def _check_labels(
    name: str, split: str, y: np.ndarray, classes: int, source: str
) -> None:
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(
            f"y_{split} of {name} must be within 0..{classes - 1}. "
            f"Received: labels {y.min()}..{y.max()} from {source}"
        )


def _are_images(x: np.ndarray) -> bool:
    return x.ndim == 3 or (x.ndim == 4 and x.shape[3] in (1, 3))


def _class_names(names: np.ndarray, path: Path) -> tuple[str, ...]:
    texts = tuple(map(str, names.tolist())) if names.dtype.kind == "U" else ()
    if names.ndim != 1 or len(set(texts)) < max(2, len(names)) or not all(texts):
        raise ValueError(
            "class_names must be a list of at least 2 different texts, in label order. "
            f"Received: {names.tolist()} from {path}"
        )
    return texts


def _numbered(labels: np.ndarray, source: str) -> tuple[str, ...]:
    """Name the classes after their labels, which must be 0 to K-1 without a gap."""
    present = np.unique(labels)
    if len(present) < 2:
        raise ValueError(
            "A data set must have at least 2 classes. Received: y_train of only "
            f"{present.tolist()} from {source}"
        )
    if present.tolist() != list(range(len(present))):
        raise ValueError(
            "y_train must have every label from 0 to the highest, unless the array "
            "class_names names those that are missing. Received: labels "
            f"{_shortened(present)} from {source}"
        )
    return tuple(map(str, present))


def _shortened(labels: np.ndarray) -> str:
    shown = ", ".join(map(str, labels[:20]))
    return f"{shown}, ... {labels[-1]}" if len(labels) > 20 else shown
