"""Checkpoints: all that training resumes from, in one file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fovea.training.runs import directory as runs


@dataclass
class State:
    """The state of a training run after some step.

    Attributes:
        epoch: Number of completed epochs.
        step: Number of completed steps in the epoch after those.
        seconds: How long training has taken.
        blocks: Number of trained blocks during layer-wise pre-training; None outside.
        frozen: Names of the layers that are not trained.
        rows: The rows of history.csv, one for each completed epoch.
        model: Values of the model's variables: weights, statistics, random states.
        optimizer: Values of the optimiser's variables.
        metrics: Values of the metrics of the epoch that has begun.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    blocks: int | None = None
    frozen: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    model: list[np.ndarray] = field(default_factory=list)
    optimizer: list[np.ndarray] = field(default_factory=list)
    metrics: list[np.ndarray] = field(default_factory=list)

    def capture(self, model: keras.Model) -> None:
        """Copy the values of a compiled model whose optimiser is built."""
        self.model, self.optimizer, self.metrics = (
            [keras.ops.convert_to_numpy(variable) for variable in variables]
            for variables in _variables(model)
        )
        self.frozen = [layer.name for layer in model.layers if not layer.trainable]

    def restore(self, model: keras.Model) -> None:
        """Assign the values to the variables of a model and its optimiser.

        Args:
            model: The captured model, or one like it; it may take images of another
                size. Its layers must be frozen already.

        Raises:
            ValueError: If its variables have other shapes.
        """
        variables, slots, _ = _variables(model)
        for group, values in ((variables, self.model), (slots, self.optimizer)):
            shapes = [variable.shape for variable in group]
            if shapes != [value.shape for value in values]:
                raise ValueError(
                    "The weights that were trained so far do not fit this network at "
                    f"its image size. Received: {model.name} for images of "
                    f"{' x '.join(map(str, model.input_shape[1:]))}"
                )
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)


def freeze(model: keras.Model, names: list[str]) -> None:
    """Freeze the layers of these names."""
    for name in names:
        model.get_layer(name).trainable = False


def write(path: Path, state: State) -> None:
    """Write a checkpoint, replacing an older file only by a complete one.

    Raises:
        OSError: If it cannot be written; the old file is kept then.
    """
    scalars = {
        key: getattr(state, key)
        for key in ("epoch", "step", "seconds", "blocks", "frozen", "rows")
    }
    arrays = {
        f"{group}/{index:04}": value
        for group in ("model", "optimizer", "metrics")
        for index, value in enumerate(getattr(state, group))
    }
    with runs.replacing(path) as partial:
        np.savez(partial, state=np.array(json.dumps(scalars)), **arrays)


def read(path: Path) -> State:
    """Read a checkpoint.

    Raises:
        ValueError: If it is missing or damaged.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            state = State(**json.loads(str(file["state"])))
            for key in sorted(file.files):
                if "/" in key:
                    getattr(state, key.partition("/")[0]).append(file[key])
            return state
    # What a damaged archive raises depends on where the damage is.
    except Exception as error:
        raise ValueError(
            f"The checkpoint that training would resume from cannot be read "
            f"({error or type(error).__name__}). Received: {path}"
        ) from error


def _variables(model: keras.Model) -> tuple[list[Any], list[Any], list[Any]]:
    return model.variables, model.optimizer.variables, model.metrics_variables
