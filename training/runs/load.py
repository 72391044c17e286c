"""Load the trained model of a run directory, packed or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained

if TYPE_CHECKING:
    import keras


def load_model(run: Path) -> keras.Model:
    """Load the model of a run, as it is served: without augmentation layers.

    Args:
        run: A run directory, or that of a packed model.

    Returns:
        A model: uint8 images -> float32 logits.

    Raises:
        ValueError: If there is no readable model.keras.
    """
    import keras

    from fovea.models import registry

    if (run / pretrained.WEIGHTS).exists():
        return pretrained.unpack(run)
    registry.builder(runs.read_config(run)["model"])  # registers the layers it uses
    try:
        return keras.saving.load_model(run / runs.MODEL, compile=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{run / runs.MODEL} is missing or not readable; train the run again. "
            f"Received: run={run} ({str(error).splitlines()[0]})"
        ) from error
