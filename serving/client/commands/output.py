"""Print predictions as rows on stdout and failures as sentences on stderr."""

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

    from fovea.serving.client.commands.progress import Progress
    from fovea.serving.client.results import ClassScore, Prediction

Writer: TypeAlias = "Callable[[str, Prediction | ClientError], None]"

# So many rows set the widths of a table's columns; wider ones grow them later.
_ALIGNED_ROWS = 32


@contextlib.contextmanager
def writer(args: argparse.Namespace) -> Iterator[Writer]:
    """Print each result as soon as it is there, in the format of the options.

    Args:
        args: The parsed options `json`, `jsonl`, `csv` and `top`.

    Yields:
        `write(name, result)`. JSON has an object for each failure; tables and CSV
        leave them out.
    """
    # Readers of a pipe see results as they come; TextIO does not declare the method.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    formatter = (
        _json if args.json else _jsonl if args.jsonl else _csv if args.csv else _table
    )
    with formatter(args.top) as write:
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

    def write(name: str, result: Prediction | ClientError) -> None:
        if isinstance(result, ClientError):
            return
        row = [name]
        for score in result.top:
            row += [_class_name(score), f"{score.probability:.4f}"]
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], len(cell))
        if held is None:
            print_row(row)
            return
        held.append(row)
        if len(held) == _ALIGNED_ROWS:
            release()

    try:
        yield write
    finally:
        release()


@contextlib.contextmanager
def _json(top: int) -> Iterator[Writer]:
    separator = "[\n"

    def write(name: str, result: Prediction | ClientError) -> None:
        nonlocal separator
        text = json.dumps(_as_json(name, result), indent=2)
        print(f"{separator}  " + text.replace("\n", "\n  "), end="")
        separator = ",\n"

    try:
        yield write
    finally:
        print("[]" if separator == "[\n" else "\n]")


@contextlib.contextmanager
def _jsonl(top: int) -> Iterator[Writer]:
    yield lambda name, result: print(json.dumps(_as_json(name, result)))


@contextlib.contextmanager
def _csv(top: int) -> Iterator[Writer]:
    import csv

    rows = csv.writer(sys.stdout, lineterminator="\n")
    header = ["file", "model_version", "label", "class_id", "probability"]
    for rank in range(2, top + 1):
        header += [f"label_{rank}", f"class_id_{rank}", f"probability_{rank}"]
    rows.writerow(header)

    def write(name: str, result: Prediction | ClientError) -> None:
        if isinstance(result, ClientError):
            return
        row: list[Any] = [name, result.model_version]
        for score in result.top:
            row += [score.label, score.class_id, f"{score.probability:.6g}"]
        rows.writerow(row)

    yield write


def _class_name(score: ClassScore) -> str:
    return f"class {score.class_id}" if score.label is None else score.label


def _as_json(name: str, result: Prediction | ClientError) -> dict[str, Any]:
    if isinstance(result, ClientError):
        return {"file": name, "error": str(result)}
    return {"file": name, **plain(result)}


class Failures:
    """Prints why images have no prediction: a line each, or one for a series.

    Consecutive images that fail with the same message share a line. A context manager
    that prints the last line on exit.

    Args:
        progress: The progress line, which is cleared before a failure is printed.
    """

    def __init__(self, progress: Progress) -> None:
        self.count = 0
        self._progress = progress
        self._error: ClientError | None = None
        self._first = self._last = ""  # names of the images of the series
        self._length = 0

    def __enter__(self) -> Failures:
        return self

    def __exit__(self, *exception: object) -> None:
        self.flush()

    def add(self, name: str, error: ClientError) -> None:
        """Count a failure, and print the series before it if the message differs."""
        self.count += 1
        if self._error is None or str(error) != str(self._error):
            self.flush()
            self._error, self._first, self._length = error, name, 0
        self._length += 1
        self._last = name

    def flush(self) -> None:
        """Print the current series of failures, if there is one."""
        if self._error is None:
            return
        self._progress.clear()
        subject = ""
        if self._length > 1:
            subject = f"{self._length:,} images, {self._first} to {self._last}: "
        elif self._error.item is None:
            subject = f"{self._first}: "
        print(f"fovea: error: {subject}{self._error}", file=sys.stderr)
        self._error = None
