"""What the command line names -> images, one after the other, each with its name.

Nothing is read before its turn, so that a million files take no more memory than one.
"""

from __future__ import annotations

import glob
import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from fovea.serving.client.errors import BadImage

if TYPE_CHECKING:
    import numpy as np

    from fovea.serving.client.images import ImageSource

Named: TypeAlias = "tuple[str, ImageSource | BadImage]"

STDIN = "-"
# What a folder is searched for. Files that are named one by one may have any.
SUFFIXES = frozenset(
    [
        ".avif",
        ".bmp",
        ".gif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
_ARRAYS = (".npy", ".npz")


def images(words: Iterable[str], array: str | None = None) -> Iterator[Named]:
    """Find the images that words name.

    Args:
        words: image files; folders, which are searched with all that is below them;
            patterns such as `data/**/*.png`, for shells that leave them as they are;
            .npy and .npz files; `-` for one image's bytes on standard input.
        array: which array of .npz files; the only one if None.

    Yields:
        a name and an image, or in its place what is wrong with it.
    """
    for word in words:
        try:
            if word == STDIN:
                yield STDIN, sys.stdin.buffer.read()
            elif os.path.isdir(word):  # noqa: PTH112 - Path refuses some names
                yield from _folder(word)
            elif glob.has_magic(word) and not os.path.lexists(word):
                yield from _pattern(word, array)
            else:
                yield from _file(word, array)
        except BadImage as error:
            yield word, error


def listed(file: str) -> Iterator[str]:
    """The paths that a file lists, one a line, `-` being standard input.

    Raises:
        OSError: if the file cannot be read.
    """
    if file == STDIN:
        yield from _lines(sys.stdin.buffer)
        return
    with Path(file).open("rb") as lines:
        yield from _lines(lines)


def _lines(lines: BinaryIO | io.BufferedReader) -> Iterator[str]:
    for line in lines:
        path = os.fsdecode(line.rstrip(b"\r\n"))
        if path:
            yield path


def _folder(folder: str) -> Iterator[Named]:
    found = False
    for directory, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(files):
            if name.startswith(".") or Path(name).suffix.lower() not in SUFFIXES:
                continue
            found = True
            path = str(Path(directory, name))
            yield path, path
    if not found:
        raise BadImage(f"{folder} is a folder without image files.")


def _pattern(pattern: str, array: str | None) -> Iterator[Named]:
    # Path.glob refuses patterns that begin at the root
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if not found:
        raise BadImage(f"{pattern} matches no file.")
    for path in found:
        if Path(path).is_file():  # `**` finds the folders as well
            yield from _file(path, array)


def _file(path: str, array: str | None) -> Iterator[Named]:
    if not path.lower().endswith(_ARRAYS):
        yield path, path
        return
    try:
        values = read_array(path, array)
        rows = as_images(values, path)
    except BadImage as error:
        yield path, error
        return
    if rows is values:
        for number, row in enumerate(rows):
            yield f"{path}[{number}]", row
    else:
        yield path, rows[0]


def read_array(path: str, name: str | None = None) -> np.ndarray:
    """Read a .npy file or one array of a .npz file; a .npy file as it is needed.

    Args:
        path: of the file.
        name: which array of a .npz file; its only one if None.

    Raises:
        BadImage: if there is no such file or array, or it cannot be read.
    """
    import zipfile

    import numpy as np

    try:
        loaded = np.load(path, mmap_mode="r")
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = list(loaded)
            if (name is None and len(names) != 1) or (
                name is not None and name not in names
            ):
                raise BadImage(
                    f"{path} has the arrays {', '.join(names) or '(none)'}; --array "
                    f"chooses one. Received: {name or 'no --array'}"
                )
            return loaded[name or names[0]]
    except FileNotFoundError:
        raise BadImage(f"{path} does not exist.") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, BadImage):
            raise
        raise BadImage(f"{path} cannot be read as arrays: {error}") from None


def as_images(values: np.ndarray, path: str) -> np.ndarray:
    """Check an array, and give a single image a first axis.

    Args:
        values: uint8, of shape [N, H, W, C], [N, H, W], [H, W, C] or [H, W]; three axes
            are one image if the last has 1 or 3 channels.
        path: where it comes from, for the error.

    Returns:
        `values` itself if it has many images, otherwise a view [1, ...].

    Raises:
        BadImage: if it is no array of images.
    """
    shape = values.shape
    one = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
    many = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
    if values.dtype != "uint8" or not (one or many) or 0 in shape:
        raise BadImage(
            f"{path}: an array of images is uint8 of shape [N, H, W], [N, H, W, C], "
            "[H, W] or [H, W, C] with C = 1 or 3, and not empty. "
            f"Received: dtype={values.dtype}, shape={list(shape)}"
        )
    return values[None] if one else values
