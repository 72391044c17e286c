"""A folder of images: one folder for each class, named after it.

PATH/train/CLASS/* and optionally PATH/test/CLASS/*; or PATH/CLASS/* alone, and then
the model can be evaluated only on images held out of training. Hidden files are
ignored, and files without the suffix of an image format.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from fovea.training.datasets.dataset import Dataset
from fovea.training.runs import environment

if TYPE_CHECKING:
    from fovea.training.datasets.image_files import Header

T = TypeVar("T")

# Images that all have one size keep it if no side is longer than this.
LARGEST_KEPT = 64
DEFAULT_SIDE = 32
# Each thread decodes a whole photograph at a time, in some hundred megabytes.
MOST_THREADS = 8
# Of the machine's memory, for the images; training copies them once.
SHARE_OF_MEMORY = 0.5
LISTED = 10


class ImageFile(NamedTuple):
    """An image file, and the label and split that its path implies."""

    path: Path
    label: int
    is_test: bool


def load(
    root: Path,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    skip_bad: bool = False,
) -> Dataset:
    """Load a folder of images into memory.

    The classes are the folders' names, sorted; the images are in the order of class
    and file name. An image is resized without keeping its aspect ratio, as the
    exported model does it.

    Args:
        root: The folder; becomes part of the data set's name as an absolute path.
        image_size: (height, width). Default: the images' own if they all have one
            size of at most 64 pixels a side, else 32 x 32.
        channels: 1 for grey, 3 for colour. Default: grey if all images are.
        skip_bad: Leave out images that cannot be read instead of raising.

    Raises:
        ValueError: If there are fewer than two classes, a class without images, a
            class that only the test split has, images that cannot be read, or more
            of them than fit into memory.
        FileNotFoundError: If there is no such folder.
    """
    root = root.expanduser().resolve()
    name = f"folder:{root}"
    class_names, found = find(root)
    with warnings.catch_warnings():
        # Pillow warns about files that it reads nevertheless. Of its warnings only
        # that about more than 90 megapixels counts as an error.
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Image size .* exceeds limit")
        images, bad = _read(found, image_size, channels, name)
    if bad and not skip_bad:
        raise ValueError(
            f"{_list(bad, root)} cannot be read; --skip-bad leaves such files out. "
            f"Received: dataset={name}"
        )
    readable = [file for file in found if file.path not in bad]
    _check_classes(readable, class_names, root)
    files = tuple(str(file.path) for file in readable)
    labels = np.array([file.label for file in readable], np.int64)
    train = sum(not file.is_test for file in readable)
    return Dataset(
        name=name,
        x_train=images[:train],
        y_train=labels[:train],
        x_test=images[train:],
        y_test=labels[train:],
        class_names=class_names,
        source=f"{root}, {len(bad):,} unreadable left out" if bad else str(root),
        train_files=files[:train],
        test_files=files[train:],
        skipped=len(bad),
    )


def find(root: Path) -> tuple[tuple[str, ...], list[ImageFile]]:
    """Find a folder's classes and image files, without opening the files.

    Args:
        root: An absolute path.

    Returns:
        The class names, and the image files, those of the train split first.

    Raises:
        ValueError: If there are fewer than two classes, a class without images, or a
            class that only the test split has.
        FileNotFoundError: If there is no such folder.
    """
    received = f"Received: dataset=folder:{root}"
    if not root.is_dir():
        raise FileNotFoundError(f"A data set's folder must exist. {received}")
    train, test = root / "train", root / "test"
    if test.is_dir() and not train.is_dir():
        raise ValueError(
            f"A folder test must have a folder train beside it. {received}"
        )
    if not train.is_dir():
        train = root
    class_names = tuple(path.name for path in _visible(train) if path.is_dir())
    if len(class_names) < 2:
        raise ValueError(
            f"{train} must hold a folder of images for each of at least 2 classes. "
            f"Found: {', '.join(class_names) or 'no folder'}. {received}"
        )
    files = _image_files(train, class_names, is_test=False)
    if test.is_dir():
        unknown = [
            path.name
            for path in _visible(test)
            if path.is_dir() and path.name not in class_names
        ]
        if unknown:
            raise ValueError(
                f"The folder test must have no class that train lacks. Found: "
                f"{', '.join(unknown)}. {received}"
            )
        files += _image_files(test, class_names, is_test=True)
    _check_classes(files, class_names, root)
    return class_names, files


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _image_files(
    split: Path, class_names: tuple[str, ...], is_test: bool
) -> list[ImageFile]:
    from PIL import Image

    suffixes = Image.registered_extensions()
    return [
        ImageFile(path, label, is_test)
        for label, class_name in enumerate(class_names)
        if (split / class_name).is_dir()
        for path in _visible(split / class_name)
        if path.suffix.lower() in suffixes and path.is_file()
    ]


def _check_classes(
    files: list[ImageFile], class_names: tuple[str, ...], root: Path
) -> None:
    """Raise ValueError if a class has no image to train on."""
    present = {file.label for file in files if not file.is_test}
    empty = [name for label, name in enumerate(class_names) if label not in present]
    if empty:
        raise ValueError(
            "Every class folder must hold images that can be read, with a suffix "
            f"such as .png or .jpg. None are in: {', '.join(empty)}. "
            f"Received: dataset=folder:{root}"
        )


def _read(
    files: list[ImageFile],
    image_size: tuple[int, int] | None,
    channels: int | None,
    name: str,
) -> tuple[np.ndarray, dict[Path, str]]:
    """Return the images that can be read, and why the others cannot."""
    # Needs TensorFlow, which takes seconds: not before the folder looks usable.
    from fovea.training.datasets import image_files

    paths = [file.path for file in files]
    headers, bad = {}, {}
    for path, header in _each(image_files.header, paths, "looking at"):
        if isinstance(header, str):
            bad[path] = header
        else:
            headers[path] = header
    if not headers:
        return np.empty((0, 1, 1, 1), np.uint8), bad
    shape = _choose_shape(list(headers.values()), image_size, channels)
    _check_memory(len(headers), shape, name)
    images = np.empty((len(headers), *shape), np.uint8)
    count = 0
    for path, image in _each(
        lambda path: image_files.read(path, shape), list(headers), "reading"
    ):
        if isinstance(image, str):
            bad[path] = image
        else:
            images[count] = image
            count += 1
    return images[:count], bad


def _choose_shape(
    headers: list[Header], image_size: tuple[int, int] | None, channels: int | None
) -> tuple[int, int, int]:
    if image_size is None:
        sizes = {(header.height, header.width) for header in headers}
        image_size = next(iter(sizes))
        if len(sizes) > 1 or max(image_size) > LARGEST_KEPT:
            image_size = (DEFAULT_SIDE, DEFAULT_SIDE)
    if channels is None:
        channels = 1 if all(header.is_grey for header in headers) else 3
    return (*image_size, channels)


def _each(
    function: Callable[[Path], T], paths: list[Path], activity: str
) -> Iterator[tuple[Path, T | str]]:
    """Yield each path with a function's result, or the reason why it failed."""
    from rich.console import Console
    from rich.progress import track

    def attempt(path: Path) -> T | str:
        try:
            return function(path)
        # Pillow's decoders raise a dozen unrelated types on damaged files.
        except Exception as error:
            return _reason(error)

    console = Console(file=sys.stderr)
    pool = ThreadPoolExecutor(min(MOST_THREADS, environment.usable_cpus()))
    try:
        results = track(
            pool.map(attempt, paths),
            f"{activity} {len(paths):,} images",
            len(paths),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        yield from zip(paths, results, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    if "cannot identify image" in text:
        return "no image format that Pillow reads"
    if "truncated" in text or isinstance(error, EOFError):
        return "truncated"
    if "exceeds limit" in text:
        return "too many pixels"
    return text.partition("\n")[0] or type(error).__name__


def _list(bad: dict[Path, str], root: Path) -> str:
    shown = [f"{path.relative_to(root)} ({bad[path]})" for path in sorted(bad)]
    if len(shown) > LISTED:
        shown[LISTED:] = [f"and {len(bad) - LISTED:,} more"]
    count = "1 image" if len(bad) == 1 else f"{len(bad):,} images"
    return f"{count}, {', '.join(shown)},"


def _check_memory(images: int, shape: tuple[int, int, int], name: str) -> None:
    """Raise ValueError if the images would take more than their share of memory."""
    size, memory = images * int(np.prod(shape)), _memory()
    if memory and size > SHARE_OF_MEMORY * memory:
        height, width, channels = shape
        raise ValueError(
            f"{images:,} images of {height}x{width}x{channels} would take "
            f"{size / 2**30:.1f} GiB of this machine's {memory / 2**30:.1f} GiB of "
            f"memory, of which at most {SHARE_OF_MEMORY:.0%} is used; a smaller "
            f"--image-size would help. Received: dataset={name}"
        )


def _memory() -> int | None:
    """Return the machine's memory in bytes, or None where it is unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # another operating system
        return None
