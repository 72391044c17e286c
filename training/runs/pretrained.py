"""Models that come with the package: `pretrained:NAME` where a run is expected.

`packed/NAME/` is a run directory reduced to its essentials: config.json, metrics.json
and, in place of model.keras, weights.npz with half the digits. `packing` makes one of
a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.models.validation import nearest
from fovea.training.runs import directory as runs

if TYPE_CHECKING:
    import keras

PREFIX = "pretrained:"
DIRECTORY = Path(__file__).parent / "packed"
WEIGHTS = "weights.npz"


def names() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.parent.name for path in DIRECTORY.glob(f"*/{WEIGHTS}"))


def is_name(run: Path | str) -> bool:
    """Return whether a run argument names a model that comes with the package."""
    return str(run).startswith(PREFIX)


def locate(run: Path | str) -> Path:
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
            f"There is no such model{nearest(name, names())}; those that "
            f"come with the package are {known}. Received: {run}"
        )
    return DIRECTORY / name


def load(name: str) -> keras.Model:
    """Load a model that comes with the package.

    Args:
        name: One of `names()`.

    Returns:
        A model: uint8 images -> float32 logits.

    Raises:
        ValueError: If the package has no model of this name.
    """
    return unpack(locate(f"{PREFIX}{name}"))


def unpack(directory: Path) -> keras.Model:
    """Load the model of a directory that `packing.pack` wrote.

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
