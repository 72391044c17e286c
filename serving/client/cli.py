"""`fovea predict`: ask a server about image files."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from serving.client.errors import BadImage, ClientError, InvalidRequest

if TYPE_CHECKING:
    from serving.client.answers import Prediction
    from serving.client.client import Client

# Files read, asked about and forgotten together: bounds the memory that thousands
# of photographs would take.
_FILES_AT_A_TIME = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea predict`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="an image file")
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="the model's name"
    )
    parser.add_argument(
        "--server",
        default="127.0.0.1:8500",
        metavar="HOST:PORT",
        help="the server's gRPC address (default: %(default)s)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--version",
        type=int,
        metavar="N",
        help="version to ask (default: the newest that is ready)",
    )
    which.add_argument("--label", metavar="L", help="version label to ask instead")
    parser.add_argument(
        "--top",
        type=_positive_int,
        default=1,
        metavar="K",
        help="show the K most probable classes (default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON list instead of a table"
    )
    parser.add_argument(
        "--timeout",
        type=_positive_float,
        default=10.0,
        metavar="S",
        help="seconds that a request may take (default: %(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Ask about every file; print a line for each, or its error on stderr.

    Args:
        args: as parsed by the options of `add_arguments`.

    Returns:
        the exit code: 0 if every file was answered, otherwise 1.
    """
    from serving.client.client import Client

    try:
        with Client(args.server, timeout=args.timeout) as client:
            answers = _ask_all(client, args)
    except (ClientError, ValueError) as error:
        # about the server, the model or the address: it concerns all files
        print(f"fovea: error: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps([_as_json(*answer) for answer in answers], indent=2))
    else:
        _print_table(answers)
    for _, answer in answers:
        if isinstance(answer, ClientError):
            print(f"fovea: error: {answer}", file=sys.stderr)
    return int(any(isinstance(answer, ClientError) for _, answer in answers))


def _ask_all(
    client: Client, args: argparse.Namespace
) -> list[tuple[str, Prediction | ClientError]]:
    from serving.client.images import encode_image

    answers: dict[int, Prediction | ClientError] = {}
    for start in range(0, len(args.files), _FILES_AT_A_TIME):
        images: dict[int, bytes] = {}
        for index in range(start, min(start + _FILES_AT_A_TIME, len(args.files))):
            try:
                images[index] = encode_image(args.files[index])
            except BadImage as error:
                answers[index] = error
        answers.update(_ask_some(client, args, images))
    return [(path, answers[index]) for index, path in enumerate(args.files)]


def _ask_some(
    client: Client, args: argparse.Namespace, images: dict[int, bytes]
) -> dict[int, Prediction | ClientError]:
    def ask(parts: list[bytes]) -> list[Prediction]:
        return client.predict(
            parts,
            model=args.model,
            version=args.version,
            label=args.label,
            top=args.top,
        )

    try:
        return dict(zip(images, ask(list(images.values())), strict=True))
    except InvalidRequest as error:
        # One image that the model cannot decode fails its whole request.
        if error.code != "INVALID_ARGUMENT":
            raise
    answers: dict[int, Prediction | ClientError] = {}
    for index, data in images.items():
        try:
            (answers[index],) = ask([data])
        except InvalidRequest as error:
            answers[index] = InvalidRequest(
                f"{args.files[index]}: {error}", code=error.code, details=error.details
            )
    return answers


def _print_table(answers: list[tuple[str, Prediction | ClientError]]) -> None:
    rows = [
        [path, *(cell for score in answer.top for cell in _cells(score))]
        for path, answer in answers
        if not isinstance(answer, ClientError)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=False)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        print("  ".join(cells).rstrip())


def _cells(score: Any) -> tuple[str, str]:
    name = f"class {score.class_id}" if score.label is None else score.label
    return name, f"{score.probability:.4f}"


def _as_json(path: str, answer: Prediction | ClientError) -> dict[str, Any]:
    if isinstance(answer, ClientError):
        return {"file": path, "error": str(answer)}
    top = [score._asdict() for score in answer.top]
    return {"file": path, **answer._asdict(), "top": top}


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {text}")
    return value


def _positive_float(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, received {text}")
    return value
