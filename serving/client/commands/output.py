"""Answers about images -> rows on stdout, failures -> sentences on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from fovea.serving.client.commands.json_values import plain
from fovea.serving.client.errors import ClientError

if TYPE_CHECKING:
    import argparse

    from fovea.serving.client.answers import ClassScore, Prediction
    from fovea.serving.client.commands.progress import Progress

Writer: TypeAlias = "Callable[[str, Prediction | ClientError], None]"

# A table's columns are as wide as these rows need, and grow with later ones.
_ROWS_THAT_ALIGN = 32


@contextlib.contextmanager
def writer(args: argparse.Namespace) -> Iterator[Writer]:
    """Print answers as the command line wants them, each when it comes.

    Args:
        args: with `json`, `jsonl`, `csv` and `top`.

    Yields:
        write(name, answer). Failures are objects of their own in JSON, and left out of
        tables and CSV.
    """
    # Who reads a pipe sees answers as they come; TextIO does not declare the method.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    form = (
        _json if args.json else _jsonl if args.jsonl else _csv if args.csv else _table
    )
    with form(args.top) as write:
        yield write


@contextlib.contextmanager
def _table(top: int) -> Iterator[Writer]:
    held: list[list[str]] | None = []
    widths = [0] * (1 + 2 * top)

    def print_row(row: list[str]) -> None:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        print("  ".join(cells).rstrip())

    def release() -> None:
        nonlocal held
        for row in held or []:
            print_row(row)
        held = None

    def write(name: str, answer: Prediction | ClientError) -> None:
        if isinstance(answer, ClientError):
            return
        row = [name]
        for score in answer.top:
            row += [_class_name(score), f"{score.probability:.4f}"]
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], len(cell))
        if held is None:
            print_row(row)
            return
        held.append(row)
        if len(held) == _ROWS_THAT_ALIGN:
            release()

    try:
        yield write
    finally:
        release()


@contextlib.contextmanager
def _json(top: int) -> Iterator[Writer]:
    before = "[\n"

    def write(name: str, answer: Prediction | ClientError) -> None:
        nonlocal before
        text = json.dumps(_as_json(name, answer), indent=2)
        print(f"{before}  " + text.replace("\n", "\n  "), end="")
        before = ",\n"

    try:
        yield write
    finally:
        print("[]" if before == "[\n" else "\n]")


@contextlib.contextmanager
def _jsonl(top: int) -> Iterator[Writer]:
    yield lambda name, answer: print(json.dumps(_as_json(name, answer)))


@contextlib.contextmanager
def _csv(top: int) -> Iterator[Writer]:
    import csv

    rows = csv.writer(sys.stdout, lineterminator="\n")
    header = ["file", "model_version", "label", "class_id", "probability"]
    for place in range(2, top + 1):
        header += [f"label_{place}", f"class_id_{place}", f"probability_{place}"]
    rows.writerow(header)

    def write(name: str, answer: Prediction | ClientError) -> None:
        if isinstance(answer, ClientError):
            return
        row: list[Any] = [name, answer.model_version]
        for score in answer.top:
            row += [score.label, score.class_id, f"{score.probability:.6g}"]
        rows.writerow(row)

    yield write


def _class_name(score: ClassScore) -> str:
    return f"class {score.class_id}" if score.label is None else score.label


def _as_json(name: str, answer: Prediction | ClientError) -> dict[str, Any]:
    if isinstance(answer, ClientError):
        return {"file": name, "error": str(answer)}
    return {"file": name, **plain(answer)}


class Failures:
    """Says why images have no answer: a line each, or for all in a row that fail alike.

    A context manager; the last line is said when it ends.

    Args:
        progress: is cleared before a line is printed.
    """

    def __init__(self, progress: Progress) -> None:
        self.count = 0
        self._progress = progress
        self._sentence = ""
        self._names: list[str] = []  # the first and the last that failed so
        self._alike = 0

    def __enter__(self) -> Failures:
        return self

    def __exit__(self, *exception: object) -> None:
        self.tell()

    def add(self, name: str, error: ClientError) -> None:
        """One more has failed."""
        self.count += 1
        if str(error) != self._sentence:
            self.tell()
            self._sentence, self._names, self._alike = str(error), [name], 0
        self._alike += 1
        self._names[1:] = [name]

    def tell(self) -> None:
        """Say what has not been said yet: the row of failures alike has ended."""
        if not self._sentence:
            return
        self._progress.clear()
        what = ""
        if self._alike > 1:
            what = f"{self._alike:,} images, {self._names[0]} to {self._names[-1]}: "
        elif self._names[0] not in self._sentence:
            what = f"{self._names[0]}: "
        print(f"fovea: error: {what}{self._sentence}", file=sys.stderr)
        self._sentence = ""
