"""A folder of pictures: a folder for each class, named after it.

PATH/train/CLASS/* and perhaps PATH/test/CLASS/*; or PATH/CLASS/* alone, and then only
images held out of training can judge the model. Hidden files are passed over, and
files whose suffix is none of a picture.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fovea.training.datasets.dataset import Dataset
from fovea.training.runs import environment

# Pictures that are all of one size are kept at that if no side is longer than this.
LARGEST_KEPT = 64
DEFAULT_SIDE = 32
# Each decodes a whole photograph at a time, in some hundred megabytes.
MOST_THREADS = 8
# Of the machine's memory; training copies the images once.
SHARE_OF_MEMORY = 0.5
LISTED = 10


class Picture(NamedTuple):
    """A file, and what its place in the folder says of it."""

    path: Path
    label: int
    is_test: bool


def load(
    root: Path,
    image_size: "tuple[int, int] | None" = None,
    channels: "int | None" = None,
    skip_bad: bool = False,
) -> Dataset:
    """Load a folder of pictures into memory.

    The classes are the folders' names, sorted; the images are in the order of class
    and file name. A picture is squeezed to the image size without keeping its
    aspect ratio, as the exported model does it.

    Args:
        root: The folder; becomes part of the data set's name as an absolute path.
        image_size: (height, width). Default: the pictures' own if they all have one
            size of at most 64 pixels a side, else 32 x 32.
        channels: 1 for grey, 3 for colour. Default: grey if all pictures are.
        skip_bad: Leave out pictures that cannot be read instead of refusing.

    Raises:
        ValueError: If there are fewer than two classes, a class without pictures,
            a class that only the test part has, pictures that cannot be read, or
            more of them than memory holds.
        FileNotFoundError: If there is no such folder.
    """
    root = root.expanduser().resolve()
    name = f"folder:{root}"
    class_names, found = find(root)
    with warnings.catch_warnings():
        # Pillow warns of much that it reads nevertheless; of a picture with more
        # than 90 megapixels too, and that is refused.
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Image size .* exceeds limit")
        images, bad = _read(found, image_size, channels, name)
    if bad and not skip_bad:
        raise ValueError(
            f"{_listed(bad, root)} cannot be read; --skip-bad leaves such files out. "
            f"Received: dataset={name}"
        )
    pictures = [picture for picture in found if picture.path not in bad]
    _check_classes(pictures, class_names, root)
    files = tuple(str(picture.path) for picture in pictures)
    labels = np.array([picture.label for picture in pictures], np.int64)
    train = sum(not picture.is_test for picture in pictures)
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


def find(root: Path) -> tuple[tuple[str, ...], list[Picture]]:
    """Find a folder's classes and pictures, without opening the pictures.

    Args:
        root: An absolute path.

    Returns:
        The class names, and the pictures, those of the train part first.

    Raises:
        ValueError: If there are fewer than two classes, a class without pictures,
            or a class that only the test part has.
        FileNotFoundError: If there is no such folder.
    """
    received = f"Received: dataset=folder:{root}"
    if not root.is_dir():
        raise FileNotFoundError(f"A data set's folder must exist. {received}")
    train, test = root / "train", root / "test"
    if test.is_dir() and not train.is_dir():
        raise ValueError(f"A part test must have a part train beside it. {received}")
    if not train.is_dir():
        train = root
    class_names = tuple(path.name for path in _visible(train) if path.is_dir())
    if len(class_names) < 2:
        raise ValueError(
            f"{train} must hold a folder of pictures for each of at least 2 classes. "
            f"Found: {', '.join(class_names) or 'no folder'}. {received}"
        )
    pictures = _pictures(train, class_names, is_test=False)
    if test.is_dir():
        unknown = [
            path.name
            for path in _visible(test)
            if path.is_dir() and path.name not in class_names
        ]
        if unknown:
            raise ValueError(
                f"The part test must have no class that train lacks. Found: "
                f"{', '.join(unknown)}. {received}"
            )
        pictures += _pictures(test, class_names, is_test=True)
    _check_classes(pictures, class_names, root)
    return class_names, pictures


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _pictures(part: Path, class_names: tuple[str, ...], is_test: bool):
    from PIL import Image

    suffixes = Image.registered_extensions()
    return [
        Picture(path, label, is_test)
        for label, class_name in enumerate(class_names)
        if (part / class_name).is_dir()
        for path in _visible(part / class_name)
        if path.suffix.lower() in suffixes and path.is_file()
    ]


def _check_classes(pictures: list[Picture], class_names, root: Path) -> None:
    """Raise ValueError if a class has no picture to train on."""
    present = {picture.label for picture in pictures if not picture.is_test}
    empty = [name for label, name in enumerate(class_names) if label not in present]
    if empty:
        raise ValueError(
            "Every class folder must hold pictures that can be read, with a suffix "
            f"such as .png or .jpg. None are in: {', '.join(empty)}. "
            f"Received: dataset=folder:{root}"
        )


def _read(
    pictures: list[Picture],
    image_size: "tuple[int, int] | None",
    channels: "int | None",
    name: str,
) -> "tuple[np.ndarray, dict[Path, str]]":
    """Return the images that can be read, and why the others cannot."""
    # Needs TensorFlow, which takes seconds: not before the folder looks usable.
    from fovea.training.datasets import pixels

    paths = [picture.path for picture in pictures]
    headers = dict(zip(paths, _each(pixels.header, paths, "looking at"), strict=True))
    bad = {path: told for path, told in headers.items() if isinstance(told, str)}
    paths = [path for path in paths if path not in bad]
    if not paths:
        return np.empty((0, 1, 1, 1), np.uint8), bad
    shape = _choose_shape([headers[path] for path in paths], image_size, channels)
    _check_memory(len(paths), shape, name)
    images = np.empty((len(paths), *shape), np.uint8)
    count = 0
    decoded = _each(lambda path: pixels.read(path, shape), paths, "reading")
    for path, image in zip(paths, decoded, strict=True):
        if isinstance(image, str):
            bad[path] = image
        else:
            images[count] = image
            count += 1
    return images[:count], bad


def _choose_shape(headers: list, image_size, channels) -> tuple[int, int, int]:
    if image_size is None:
        sizes = {(header.height, header.width) for header in headers}
        image_size = next(iter(sizes))
        if len(sizes) > 1 or max(image_size) > LARGEST_KEPT:
            image_size = (DEFAULT_SIDE, DEFAULT_SIDE)
    if channels is None:
        channels = 1 if all(header.is_grey for header in headers) else 3
    return (*image_size, channels)


def _each(function: Callable, paths: list[Path], doing: str) -> Iterator:
    """Yield what a function makes of each path, or in words why it failed."""
    from rich.console import Console
    from rich.progress import track

    def attempt(path: Path):
        try:
            return function(path)
        # Pillow's decoders raise a dozen unrelated types on damaged files.
        except Exception as error:
            return _reason(error)

    console = Console(file=sys.stderr)
    pool = ThreadPoolExecutor(min(MOST_THREADS, environment.usable_cpus()))
    try:
        yield from track(
            pool.map(attempt, paths),
            f"{doing} {len(paths):,} pictures",
            len(paths),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    finally:
        pool.shutdown(cancel_futures=True)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    if "cannot identify image" in text:
        return "no image that Pillow reads"
    if "truncated" in text or isinstance(error, EOFError):
        return "truncated"
    if "exceeds limit" in text:
        return "too many pixels"
    return text.partition("\n")[0] or type(error).__name__


def _listed(bad: dict[Path, str], root: Path) -> str:
    shown = [f"{path.relative_to(root)} ({bad[path]})" for path in sorted(bad)]
    if len(shown) > LISTED:
        shown[LISTED:] = [f"and {len(bad) - LISTED:,} more"]
    many = "1 picture" if len(bad) == 1 else f"{len(bad):,} pictures"
    return f"{many}, {', '.join(shown)},"


def _check_memory(images: int, shape: tuple[int, int, int], name: str) -> None:
    """Raise ValueError if the images would take more memory than is sensible."""
    size, memory = images * int(np.prod(shape)), _memory()
    if memory and size > SHARE_OF_MEMORY * memory:
        height, width, channels = shape
        raise ValueError(
            f"{images:,} images of {height}x{width}x{channels} would take "
            f"{size / 2**30:.1f} GiB of this machine's {memory / 2**30:.1f} GiB of "
            f"memory, of which at most {SHARE_OF_MEMORY:.0%} is used; a smaller "
            f"--image-size would help. Received: dataset={name}"
        )


def _memory() -> "int | None":
    """Return the machine's memory in bytes, or None where it cannot be told."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # another operating system
        return None
