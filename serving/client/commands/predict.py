"""`fovea predict`: classify images on a server."""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.serving.client import image_sources
from fovea.serving.client.commands import arguments, explain, output
from fovea.serving.client.commands.progress import Progress
from fovea.serving.client.errors import (
    ClientError,
    InvalidRequest,
    ModelNotFound,
    ServerUnavailable,
)

if TYPE_CHECKING:
    from fovea.serving.client.client import Client
    from fovea.serving.client.images import ImageSource
    from fovea.serving.client.named_image import NamedImage
    from fovea.serving.client.results import Prediction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea predict`."""
    add = parser.add_argument
    add(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="an image file, a folder, a pattern such as 'data/**/*.png', a .npy or "
        ".npz file with uint8 images, or - for one image on standard input",
    )
    add("--model", required=True, metavar="NAME", help="name of the model")
    arguments.add_version(parser)
    add(
        "--files-from",
        metavar="FILE",
        help="classify the images that FILE lists too, one path per line; - reads the "
        "list from standard input",
    )
    add("--array", metavar="NAME", help="array to read from .npz files")
    add(
        "--top",
        type=arguments.positive_int,
        default=1,
        metavar="K",
        help="show the K most probable classes (default: %(default)s)",
    )
    add(
        "--explain",
        type=Path,
        metavar="OUT.png",
        help="draw each image beside a heat map of the evidence for its class, all in "
        "one file; the model must be exported with --with-explain",
    )
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print a JSON list")
    formats.add_argument(
        "--jsonl", action="store_true", help="print one JSON object per line"
    )
    formats.add_argument("--csv", action="store_true", help="print CSV")
    arguments.add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Classify every image; print a row for each, or its error on stderr.

    Args:
        args: The parsed options of `add_arguments`.

    Returns:
        The exit code: 0 if every image has a prediction, otherwise 1.

    Raises:
        ClientError: If an error of the server or the model concerns all images.
        ValueError: If options are invalid or contradict each other.
        OSError: If a file that an option names cannot be used.
    """
    images = image_sources.find_images(_sources(args), args.array)
    to_explain: dict[str, ImageSource] = {}
    if args.explain:
        explain.check_output(args.explain)
        images = explain.collect(images, to_explain)
    from fovea.serving.client.client import Client

    predicted = 0
    progress = Progress("images")
    failures = output.Failures(progress)
    with (
        Client(**arguments.connection(args), timeout=args.timeout) as client,
        progress,
        failures,
        output.writer(args) as write,
    ):
        for name, result in _predict(client, images, args):
            if not isinstance(result, ClientError):
                predicted += 1
                failures.flush()
            elif not predicted and _concerns_all(result):
                raise result
            else:
                failures.add(name, result)
                to_explain.pop(name, None)
            write(name, result)
            progress.step()
        if to_explain:
            explain.write(
                args.explain,
                client,
                to_explain,
                model=args.model,
                version=args.version,
                label=args.label,
            )
    return int(failures.count > 0)


def _sources(args: argparse.Namespace) -> Iterator[str]:
    if not args.images and args.files_from is None:
        raise ValueError(
            "Name at least one image, folder or list of files (--files-from). "
            "Received: none"
        )
    stdin = image_sources.STDIN
    if args.images.count(stdin) + (args.files_from == stdin) > 1:
        raise ValueError("Standard input can be read once. Received: - twice")
    if args.files_from is None:
        return iter(args.images)
    lines = image_sources.read_list(args.files_from)
    first = next(lines, None)  # opens the file here, where an error ends the command
    rest = [] if first is None else [first]
    return itertools.chain(args.images, rest, lines)


def _predict(
    client: Client, images: Iterator[NamedImage], args: argparse.Namespace
) -> Iterator[tuple[str, Prediction | ClientError]]:
    """Yield the name and the result of each image, in order."""
    names: collections.deque[str] = collections.deque()  # of images under way

    def noting_names() -> Iterator[NamedImage]:
        for image in images:
            names.append(image.name)
            yield image

    results = client.predict_each(
        noting_names(),
        model=args.model,
        version=args.version,
        label=args.label,
        top=args.top,
    )
    with contextlib.closing(results):
        for result in results:
            yield names.popleft(), result


def _concerns_all(error: ClientError) -> bool:
    """Return whether every other image would fail in the same way."""
    if isinstance(error, InvalidRequest):
        return error.mismatch or error.code == "FAILED_PRECONDITION"
    return isinstance(error, ServerUnavailable | ModelNotFound) or (
        error.code == "UNIMPLEMENTED"
    )
