"""Arrays in an .npz file, laid out as Keras lays out its data sets."""

from pathlib import Path

import numpy as np

from fovea.training.datasets.dataset import Dataset

SPLITS = ("train", "test")
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load(path: Path) -> Dataset:
    """Load anybody's data set from an .npz file.

    Arrays: x_train and y_train; x_test and y_test, or neither; class_names, or the
    classes are called 0 to K-1 and each of them has a training image.

    Args:
        path: The file; becomes part of the data set's name as an absolute path.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or an array is missing or not what it
            should be.
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
    if x_train.dtype != np.uint8 or not _is_pictures(x_train) or not x_train.size:
        raise ValueError(
            "x_train must be uint8 of shape (n, height, width), (n, height, width, 1) "
            f"or (n, height, width, 3). Received: {x_train.dtype} of shape "
            f"{x_train.shape} from {path}"
        )
    # A test part without images is none.
    for name in [
        name for name in ("x_test", "y_test") if not len(arrays.get(name, ()))
    ]:
        arrays.pop(name, None)
    class_names = None
    if "class_names" in arrays:
        class_names = _class_names(arrays["class_names"], path)
    return checked(f"npz:{path}", arrays, x_train.shape[1:], class_names, str(path))


def read(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file that are part of the layout.

    Raises:
        ValueError: If the file cannot be read.
    """
    wanted = (*ARRAYS, "class_names")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {key: file[key] for key in file.files if key in wanted}
    # What a damaged archive raises depends on where the damage is.
    except Exception as error:
        raise ValueError(
            f"{path} is not a readable .npz file: {error or type(error).__name__}"
        ) from error


def require(arrays: dict[str, np.ndarray], names: "tuple[str, ...]", path: Path):
    """Raise ValueError unless all named arrays are there."""
    if not set(names) <= set(arrays):
        raise ValueError(
            f"{path} must hold the arrays {', '.join(names)}. "
            f"Received: arrays {', '.join(arrays) or '(none)'}"
        )


def checked(
    name: str,
    arrays: dict[str, np.ndarray],
    image: tuple[int, ...],
    class_names: "tuple[str, ...] | None",
    source: str,
) -> Dataset:
    """Return a data set of arrays that are what they should be.

    Args:
        name: The data set's name.
        arrays: x_train, y_train and perhaps x_test, y_test.
        image: Shape that every image must have; without channels for grey.
        class_names: A name for each label; None calls the classes 0 to K-1.
        source: For people to read.

    Raises:
        ValueError: If a shape, a dtype or a label is wrong.
    """
    parts = {}
    for split in SPLITS:
        if f"x_{split}" not in arrays:
            parts[f"x_{split}"] = np.empty((0, *parts["x_train"].shape[1:]), np.uint8)
            parts[f"y_{split}"] = np.empty(0, np.int64)
            continue
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
        y = y.reshape(-1).astype(np.int64)
        if class_names is None:
            class_names = _numbered(y, source)
        if y.min() < 0 or y.max() >= len(class_names):
            raise ValueError(
                f"y_{split} of {name} must be within 0..{len(class_names) - 1}. "
                f"Received: labels {y.min()}..{y.max()} from {source}"
            )
        parts[f"x_{split}"] = x if x.ndim == 4 else x[..., np.newaxis]
        parts[f"y_{split}"] = y
    return Dataset(name=name, **parts, class_names=class_names, source=source)


def _is_pictures(x: np.ndarray) -> bool:
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
            "class_names tells which are missing. Received: labels "
            f"{_shortened(present)} from {source}"
        )
    return tuple(map(str, present))


def _shortened(labels: np.ndarray) -> str:
    shown = ", ".join(map(str, labels[:20]))
    return f"{shown}, ... {labels[-1]}" if len(labels) > 20 else shown
