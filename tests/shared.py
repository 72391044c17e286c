"""Directories that all workers of a test session share, each written once."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def directory(
    factory: pytest.TempPathFactory, name: str, write: Callable[[Path], object]
) -> Path:
    """Return a directory, written by the worker that needs it first.

    Nothing in it may be changed afterwards.

    Args:
        factory: Pytest's `tmp_path_factory`.
        name: The directory's name, one for each content.
        write: Fills the directory, which is empty, under the path that it keeps.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    path, written = base / "shared" / name, base / "shared" / f".{name}.written"
    path.parent.mkdir(exist_ok=True)
    with path.with_name(f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not written.exists():
            shutil.rmtree(path, ignore_errors=True)  # of a worker that failed
            path.mkdir()
            write(path)
            written.touch()
    return path
