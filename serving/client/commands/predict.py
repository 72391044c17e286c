"""`fovea predict`: ask a server what images show."""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.serving.client.commands import arguments, explain, output, sources
from fovea.serving.client.commands.progress import Progress
from fovea.serving.client.errors import (
    BadImage,
    ClientError,
    InvalidRequest,
    ModelNotFound,
    ServerUnavailable,
)

if TYPE_CHECKING:
    from fovea.serving.client.answers import Prediction
    from fovea.serving.client.client import Client
    from fovea.serving.client.images import ImageSource


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea predict`."""
    add = parser.add_argument
    add(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="an image file, a folder, a pattern such as 'data/**/*.png', an .npy or "
        ".npz file with uint8 images, or - for one image on standard input",
    )
    add("--model", required=True, metavar="NAME", help="the model's name")
    arguments.add_version(parser)
    add(
        "--files-from",
        metavar="FILE",
        help="ask about the images that FILE lists as well, one a line; - reads the "
        "list from standard input",
    )
    add("--array", metavar="NAME", help="which array of an .npz file")
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
        help="draw each image beside a heat map of what in it speaks for the answer, "
        "all in one picture; the model must be exported with --with-explain",
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print a JSON list")
    forms.add_argument(
        "--jsonl", action="store_true", help="print a JSON object a line"
    )
    forms.add_argument("--csv", action="store_true", help="print CSV")
    arguments.add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Ask about every image; print a row for each, or its error on stderr.

    Args:
        args: as parsed by the options of `add_arguments`.

    Returns:
        the exit code: 0 if every image was answered, otherwise 1.

    Raises:
        ClientError: about the server or the model; it concerns all images.
        ValueError, OSError: if the command line asks for what cannot be.
    """
    named = sources.images(_words(args), args.array)
    given: dict[str, ImageSource] = {}
    if args.explain:
        explain.check(args.explain)
        named = explain.remembered(named, given)
    from fovea.serving.client.client import Client

    answered = 0
    progress = Progress("images")
    failures = output.Failures(progress)
    with (
        Client(**arguments.connection(args), timeout=args.timeout) as client,
        progress,
        failures,
        output.writer(args) as write,
    ):
        for name, answer in _answers(client, named, args):
            if not isinstance(answer, ClientError):
                answered += 1
                failures.tell()
            elif not answered and _concerns_all(answer):
                raise answer
            else:
                failures.add(name, answer)
                given.pop(name, None)
            write(name, answer)
            progress.step()
        if given:
            which = {"version": args.version, "label": args.label}
            explain.write(args.explain, client, given, model=args.model, **which)
    return int(failures.count > 0)


def _words(args: argparse.Namespace) -> Iterator[str]:
    if not args.images and args.files_from is None:
        raise ValueError(
            "Name at least one image, folder or list of files (--files-from). "
            "Received: none"
        )
    if args.images.count(sources.STDIN) + (args.files_from == sources.STDIN) > 1:
        raise ValueError("Standard input can be read once. Received: - twice")
    if args.files_from is None:
        return iter(args.images)
    lines = sources.listed(args.files_from)
    first = next(lines, None)  # opens the file here, where an error ends the command
    rest = [] if first is None else [first]
    return itertools.chain(args.images, rest, lines)


def _answers(
    client: Client, named: Iterator[sources.Named], args: argparse.Namespace
) -> Iterator[tuple[str, Prediction | ClientError]]:
    """Each image's name and its answer, in order."""
    # What has been read ahead: the name, and its error or its place among the asked
    waiting: collections.deque[tuple[str, BadImage | int]] = collections.deque()
    places = itertools.count()

    def to_ask() -> Iterator[ImageSource]:
        for name, image in named:
            if isinstance(image, BadImage):
                waiting.append((name, image))
                continue
            waiting.append((name, next(places)))
            yield image

    answers = client.predict_each(
        to_ask(),
        model=args.model,
        version=args.version,
        label=args.label,
        top=args.top,
    )
    with contextlib.closing(answers):
        for answer in answers:
            yield from _unasked(waiting)
            name, place = waiting.popleft()
            if isinstance(answer, ClientError) and name not in str(answer):
                # What has no path is called by its place
                words = str(answer).replace(f"images[{place}]", name, 1)
                answer.args = (words,)
            yield name, answer
    yield from _unasked(waiting)


def _unasked(
    waiting: collections.deque[tuple[str, BadImage | int]],
) -> Iterator[tuple[str, BadImage]]:
    while waiting and isinstance(waiting[0][1], BadImage):
        name, error = waiting.popleft()
        assert isinstance(error, BadImage)
        yield name, error


def _concerns_all(error: ClientError) -> bool:
    """Whether no other image would be answered either."""
    if isinstance(error, InvalidRequest):
        return error.mismatch or error.code == "FAILED_PRECONDITION"
    return isinstance(error, ServerUnavailable | ModelNotFound) or (
        error.code == "UNIMPLEMENTED"
    )
