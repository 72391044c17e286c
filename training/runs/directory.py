"""The run directory: everything needed to judge, repeat, resume and export a run.

config.json       what was asked for: model, options, data set, recipe, seed
environment.json  versions, machine and settings it ran with
history.csv       one row for each whole epoch
metrics.json      what came out, and whether the run came to its end
model.keras       the model that answers: without augmentation, in float32, with
                  averaged weights where the recipe averages; as of the last whole
                  epoch, or of the best one where early stopping ended the run
best.keras        the same as of the epoch with the best held-out accuracy
checkpoint.npz    everything that training goes on from
report.html       all of this as a page, and with it
mistakes/         the most confident mistakes, as `evaluate` found them
inspect/          the page and the pictures that `inspect` made
tensorboard/      with --tensorboard

Files are replaced whole: each is, at any moment, either the old or the new one.
"""

import contextlib
import csv
import errno
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

CHECKPOINT = "checkpoint.npz"
MODEL = "model.keras"
BEST = "best.keras"


def default_path(model: str, dataset: str) -> Path:
    """Return a run directory's path that says what ran and when."""
    return Path("runs") / f"{model}-{dataset}-{datetime.now():%Y%m%d-%H%M%S}"


def check_new(run: Path) -> None:
    """Refuse a run directory that holds something already.

    Raises:
        ValueError: If it does.
    """
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise ValueError(
            "A run directory must be new or empty, so that no run overwrites "
            f"another. Received: run={run}"
        )


@contextlib.contextmanager
def create(run: Path) -> Iterator[Path]:
    """Make a run directory that appears when what is first in it is complete.

    Args:
        run: Its path; may exist if it is empty.

    Yields:
        The directory to fill, hidden beside that path.

    Raises:
        ValueError: If the directory holds something already.
        OSError: If it cannot be written.
    """
    check_new(run)
    partial = run.with_name(f".{run.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    try:
        run.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        reason = os.strerror(errno.ENOTDIR)
        raise NotADirectoryError(errno.ENOTDIR, reason, str(run)) from error
    partial.mkdir()
    try:
        yield partial
        if run.exists():
            run.rmdir()
        partial.rename(run)
        flush_directory(run.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_config(run: Path) -> dict:
    """Return config.json of a run.

    Raises:
        ValueError: If `run` is not a run directory.
    """
    try:
        return json.loads((run / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            "A run directory, as `fovea train` makes it, has a readable config.json. "
            f"Received: run={run} ({error})"
        ) from error


def read_metrics(run: Path) -> dict:
    """Return metrics.json of a run, or {} while there is none."""
    path = run / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file by one that takes its name when it is whole and on the disk.

    Yields:
        The path to write to.

    Raises:
        OSError: If it cannot be written; what had the name before is still there.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        flush_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_directory(path: Path) -> Iterator[Path]:
    """Replace a directory by one that takes its name when it is whole.

    Yields:
        An empty directory to fill, hidden beside that path.

    Raises:
        OSError: If it cannot be written; what had the name before is still there.
    """
    partial = path.with_name(f".{path.name}.partial")
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        try:
            partial.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
        flush_directory(path.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_json(path: Path, value: dict) -> None:
    """Replace a JSON file."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_history(path: Path, rows: list[dict]) -> None:
    """Replace a table: a row for each epoch, under the names of the first one's."""
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read_history(run: Path) -> list[dict[str, float]]:
    """Return the rows of history.csv, without the cells that have no figure."""
    path = run / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: float(cell) for name, cell in row.items() if cell}
            for row in csv.DictReader(file)
        ]


def save_model(path: Path, model: "keras.Model") -> None:
    """Replace a .keras file."""
    with replacing(path) as partial:
        model.save(partial)


def copy(source: Path, target: Path) -> None:
    """Replace one file by a copy of another."""
    with replacing(target) as partial:
        shutil.copyfile(source, partial)


def flush_directory(directory: Path) -> None:
    """Have the operating system write a directory's names to the disk."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
