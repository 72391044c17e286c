"""Find the images that paths, folders, patterns and arrays on the command line name.

Images are read one at a time, so that a million files take no more memory than one.
"""

from __future__ import annotations

import glob
import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fovea.serving.client.errors import BadImage
from fovea.serving.client.named_image import NamedImage

if TYPE_CHECKING:
    import numpy as np

STDIN = "-"
# The files that a folder is searched for; a file that is named itself may have any.
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


def find_images(
    sources: Iterable[str], array: str | None = None
) -> Iterator[NamedImage]:
    """Find the images that command-line arguments name.

    Args:
        sources: Image files; folders, which are searched recursively; patterns such
            as `data/**/*.png`, for shells that do not expand them; .npy and .npz
            files; `-` for the bytes of one image on standard input.
        array: Name of the array to read from .npz files; None for the only one.

    Yields:
        Each image with its name, or with the `BadImage` that reading it raised.
    """
    for source in sources:
        try:
            if source == STDIN:
                yield NamedImage(STDIN, sys.stdin.buffer.read())
            elif os.path.isdir(source):  # noqa: PTH112 - Path refuses some names
                yield from _folder(source)
            elif glob.has_magic(source) and not os.path.lexists(source):
                yield from _pattern(source, array)
            else:
                yield from _file(source, array)
        except BadImage as error:
            yield NamedImage(source, error)


def read_list(file: str) -> Iterator[str]:
    """Yield the paths that a file lists, one per line; `-` is standard input.

    Raises:
        OSError: If the file cannot be read.
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


def _folder(folder: str) -> Iterator[NamedImage]:
    found = False
    for directory, subfolders, files in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith(".") or Path(name).suffix.lower() not in SUFFIXES:
                continue
            found = True
            path = str(Path(directory, name))
            yield NamedImage(path, path)
    if not found:
        raise BadImage(f"{folder} is a folder without image files.", item=folder)


def _pattern(pattern: str, array: str | None) -> Iterator[NamedImage]:
    # Path.glob refuses patterns that begin at the root
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if not found:
        raise BadImage(f"{pattern} matches no file.", item=pattern)
    for path in found:
        if Path(path).is_file():  # `**` finds the folders as well
            yield from _file(path, array)


def _file(path: str, array: str | None) -> Iterator[NamedImage]:
    if not path.lower().endswith(_ARRAYS):
        yield NamedImage(path, path)
        return
    try:
        values = read_array(path, array)
        rows = as_images(values, path)
    except BadImage as error:
        yield NamedImage(path, error)
        return
    if rows is values:
        for number, row in enumerate(rows):
            yield NamedImage(f"{path}[{number}]", row)
    else:
        yield NamedImage(path, rows[0])


def read_array(path: str, name: str | None = None) -> np.ndarray:
    """Read a .npy file or one array of a .npz file.

    A .npy file is memory-mapped, so that its rows are read when they are used.

    Args:
        path: Path of the file.
        name: Name of the array in a .npz file; None for the only one.

    Returns:
        The array, of any dtype and shape.

    Raises:
        BadImage: If there is no such file or array, or it cannot be read.
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
                    f"chooses one. Received: {name or 'no --array'}",
                    item=path,
                )
            return loaded[name or names[0]]
    except FileNotFoundError:
        raise BadImage(f"{path} does not exist.", item=path) from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, BadImage):
            raise
        raise BadImage(f"{path} cannot be read as arrays: {error}", item=path) from None


def as_images(values: np.ndarray, path: str) -> np.ndarray:
    """Check that an array holds images, and give a single image a batch axis.

    Args:
        values: Array of shape [N, H, W, C], [N, H, W], [H, W, C] or [H, W] and type
            uint8; three axes are one image if the last has 1 or 3 channels.
        path: Path of its file, for the error.

    Returns:
        `values` itself if it has a batch axis, otherwise a view of shape [1, ...].

    Raises:
        BadImage: If its type or shape is another.
    """
    shape = values.shape
    one = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
    many = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
    if values.dtype != "uint8" or not (one or many) or 0 in shape:
        raise BadImage(
            f"{path}: an array of images is uint8 of shape [N, H, W], [N, H, W, C], "
            "[H, W] or [H, W, C] with C = 1 or 3, and not empty. "
            f"Received: dtype={values.dtype}, shape={list(shape)}",
            item=path,
        )
    return values[None] if one else values
