"""Models that come with the package: `pretrained:NAME` where a run is asked for.

`packed/NAME/` is a run directory of which the essentials were kept: config.json,
metrics.json and, in place of model.keras, weights.npz with half the digits.
`python -m fovea.training.runs.pretrained RUN NAME` makes one of a run.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.models import backend, registry
from fovea.training.runs import directory as runs

if TYPE_CHECKING:
    import keras

PREFIX = "pretrained:"
DIRECTORY = Path(__file__).parent / "packed"
WEIGHTS = "weights.npz"
# What an index of packages and a clone can bear.
LARGEST = 8_000_000  # bytes


def names() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.parent.name for path in DIRECTORY.glob(f"*/{WEIGHTS}"))


def is_name(run: "Path | str") -> bool:
    """Return whether what was given as a run names a model of the package."""
    return str(run).startswith(PREFIX)


def locate(run: "Path | str") -> Path:
    """Return the directory of `pretrained:NAME`; any other path is returned as it is.

    Raises:
        ValueError: If the package has no model of this name.
    """
    if not is_name(run):
        return Path(run)
    name = str(run).removeprefix(PREFIX)
    if name not in names():
        known = ", ".join(f"{PREFIX}{each}" for each in names()) or "none"
        raise ValueError(
            f"There is no such model{registry.nearest(name, names())}; those that "
            f"come with the package are {known}. Received: {run}"
        )
    return DIRECTORY / name


def load(name: str) -> "keras.Model":
    """Return a model that comes with the package: uint8 images -> float32 logits.

    Args:
        name: One of `names()`.

    Raises:
        ValueError: If there is none of this name.
    """
    return unpack(locate(f"{PREFIX}{name}"))


def unpack(directory: Path) -> "keras.Model":
    """Return the model of a directory that `pack` made.

    Raises:
        ValueError: If the weights cannot be read, or are not those of the model.
    """
    from fovea import models

    config = runs.read_config(directory)
    model = models.build(
        config["model"],
        tuple(config["input_shape"]),
        config["num_classes"],
        **config["options"],
    )
    try:
        with (
            (directory / WEIGHTS).open("rb") as opened,
            np.load(opened, allow_pickle=False) as file,
        ):
            values = [file[weight.path] for weight in model.weights]
        model.set_weights([value.astype(np.float32) for value in values])
    # What a damaged archive raises depends on where the damage is.
    except Exception as error:
        raise ValueError(
            f"{directory / WEIGHTS} does not hold the weights of its model: "
            f"{error or type(error).__name__}"
        ) from error
    return model


def pack(run: Path, name: str, directory: Path = DIRECTORY) -> Path:
    """Keep the essentials of a run as a model of the package.

    Kernels are rounded to float16. Vectors, few as they are, stay as they are: the
    variances among them have a wider range than float16.

    Args:
        run: A run directory.
        name: What it will be called; an older one of this name is replaced.
        directory: Where models of the package are.

    Returns:
        The directory that was made.

    Raises:
        ValueError: If `run` is not a run directory, a weight is beyond float16's
            range, or the model is too large to come with a package.
        OSError: If it cannot be written.
    """
    config = runs.read_config(run)
    model = runs.load_model(run)
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
        np.savez_compressed(partial / WEIGHTS, **arrays)
        size = (partial / WEIGHTS).stat().st_size
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


def _portable(value):
    """Return JSON without the paths of the machine on which the run was made."""
    if isinstance(value, dict):
        return {key: _portable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_portable(each) for each in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value


def main(argv: "list[str] | None" = None) -> int:
    """Pack a run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fovea.training.runs.pretrained",
        description="Keep a run's model as one that comes with the package.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument("name", metavar="NAME", help="of the model, e.g. cifar10")
    args = parser.parse_args(argv)
    backend.prepare()
    target = pack(args.run, args.name)
    size = sum(path.stat().st_size for path in target.iterdir())
    print(f"{PREFIX}{args.name}: {target}, {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
