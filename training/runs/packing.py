"""Pack a run's model as one that comes with the package.

`python -m fovea.training.runs.packing RUN NAME`
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fovea.models import backend
from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained
from fovea.training.runs.load import load_model

# Bytes: acceptable in a wheel and in a clone of the repository.
LARGEST = 8_000_000


def pack(run: Path, name: str, directory: Path = pretrained.DIRECTORY) -> Path:
    """Write the essentials of a run as a model of the package.

    Kernels are rounded to float16. Vectors, being small, stay float32: the variances
    among them have a wider range than float16.

    Args:
        run: A run directory.
        name: The model's name; an older model of this name is replaced.
        directory: The directory of the package's models.

    Returns:
        The directory that was written.

    Raises:
        ValueError: If `run` is not a run directory, a weight is beyond float16's
            range, or the file of weights is larger than `LARGEST`.
        OSError: If it cannot be written.
    """
    config = runs.read_config(run)
    model = load_model(run)
    arrays = {}
    for weight in model.weights:
        value = weight.numpy()
        if value.ndim > 1:
            with np.errstate(over="ignore"):
                value = value.astype(np.float16)
        if not np.isfinite(value).all():
            raise ValueError(
                "A packed model's weights must be finite, and its kernels within "
                f"+-65504. Received: {weight.path} of {run}"
            )
        arrays[weight.path] = value
    target, partial = directory / name, directory / f".partial-{name}"
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir(parents=True)
    try:
        np.savez_compressed(partial / pretrained.WEIGHTS, **arrays)
        size = (partial / pretrained.WEIGHTS).stat().st_size
        if size > LARGEST:
            raise ValueError(
                f"A packed model may have {LARGEST / 1e6:.0f} MB. "
                f"Received: {size / 1e6:.1f} MB of {run}"
            )
        runs.write_json(partial / "config.json", _portable(config))
        runs.write_json(partial / "metrics.json", _portable(runs.read_metrics(run)))
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _portable(value: Any) -> Any:
    """Return JSON without the paths of the machine that made the run."""
    if isinstance(value, dict):
        return {key: _portable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_portable(each) for each in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value


def main(argv: list[str] | None = None) -> int:
    """Pack a run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fovea.training.runs.packing",
        description="Keep a run's model as one that comes with the package.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument("name", metavar="NAME", help="of the model, e.g. cifar10")
    args = parser.parse_args(argv)
    backend.prepare()
    target = pack(args.run, args.name)
    size = sum(path.stat().st_size for path in target.iterdir())
    print(f"{pretrained.PREFIX}{args.name}: {target}, {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
