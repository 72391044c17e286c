"""The run directory: everything needed to evaluate, repeat, resume or export a run.

config.json       the settings: model, options, data set, recipe, seed
environment.json  versions, machine and settings it ran with
history.csv       one row for each whole epoch
metrics.json      the results, and whether the run is complete
model.keras       the model as it is served: without augmentation, in float32, with
                  averaged weights where the recipe averages; as of the last whole
                  epoch, or of the best one where early stopping ended the run
best.keras        the same, of the epoch with the best held-out accuracy
checkpoint.npz    everything that training resumes from
report.html       all of this as a page
mistakes/         pictures of the most confident mistakes, by `evaluate`
inspect/          the page and the pictures of `inspect`
tensorboard/      with --tensorboard

Files are replaced whole: each is, at any moment, either the old or the new one.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

CHECKPOINT = "checkpoint.npz"
MODEL = "model.keras"
BEST = "best.keras"


def default_path(model: str, dataset: str) -> Path:
    """Return a path for a run directory, with model, data set and time in its name."""
    return Path("runs") / f"{model}-{dataset}-{datetime.now():%Y%m%d-%H%M%S}"


def check_new(run: Path) -> None:
    """Refuse a run directory that is not new or empty.

    Raises:
        ValueError: If it holds something.
    """
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise ValueError(
            "A run directory must be new or empty, so that no run overwrites "
            f"another. Received: run={run}"
        )


@contextlib.contextmanager
def create(run: Path) -> Iterator[Path]:
    """Create a run directory that appears when its first files are complete.

    Args:
        run: Its path; it may exist if it is empty.

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


def read_config(run: Path) -> dict[str, Any]:
    """Return config.json of a run.

    Raises:
        ValueError: If `run` is not a run directory.
    """
    try:
        return json.loads((run / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            "A run directory, as `fovea train` writes it, has a readable config.json. "
            f"Received: run={run} ({error})"
        ) from error


def read_metrics(run: Path) -> dict[str, Any]:
    """Return metrics.json of a run, or {} if there is none yet."""
    path = run / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file by a new one when that is complete and on the disk.

    Yields:
        The path to write to.

    Raises:
        OSError: If it cannot be written; the old file is kept then.
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
    """Replace a directory by a new one when that is complete.

    Yields:
        An empty directory to fill, hidden beside that path.

    Raises:
        OSError: If it cannot be written; the old file is kept then.
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


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a JSON file."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a CSV file: a row for each epoch, with the keys of the first as head."""
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read_history(run: Path) -> list[dict[str, float]]:
    """Return the rows of history.csv, without empty cells."""
    path = run / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: float(cell) for name, cell in row.items() if cell}
            for row in csv.DictReader(file)
        ]


def save_model(path: Path, model: keras.Model) -> None:
    """Replace a .keras file."""
    with replacing(path) as partial:
        model.save(partial)


def copy(source: Path, target: Path) -> None:
    """Replace one file by a copy of another."""
    with replacing(target) as partial:
        shutil.copyfile(source, partial)


def flush_directory(directory: Path) -> None:
    """Flush a directory's entries to the disk."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
