"""The run directory: everything needed to judge, repeat and export a training run.

config.json       what was asked for: model, options, data set, hyper-parameters
environment.json  versions, machine and settings it ran with
history.csv       one row for each epoch
metrics.json      what came out, and whether the run came to its end
model.keras       the weights and the architecture, replaced after every epoch
"""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def default_path(model: str, dataset: str) -> Path:
    """Return a run directory's path that says what ran and when."""
    return Path("runs") / f"{model}-{dataset}-{datetime.now():%Y%m%d-%H%M%S}"


def create(run: Path, config: dict, environment: dict) -> None:
    """Make a run directory.

    Args:
        run: Its path; may exist if it is empty.
        config: JSON-serialisable; becomes config.json.
        environment: JSON-serialisable; becomes environment.json.

    Raises:
        ValueError: If the directory holds something already.
        OSError: If it cannot be written.
    """
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise ValueError(
            "A run directory must be new or empty, so that no run overwrites "
            f"another. Received: run={run}"
        )
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / "config.json", config)
    write_json(run / "environment.json", environment)


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


def write_json(path: Path, value: dict) -> None:
    """Write a JSON file that is, at any moment, either the old or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def save_model(run: Path, model: "keras.Model") -> None:
    """Replace model.keras, never leaving half a file under that name."""
    partial = run / ".partial.keras"
    try:
        model.save(partial)
        partial.replace(run / "model.keras")
    finally:
        partial.unlink(missing_ok=True)


def load_model(run: Path) -> "keras.Model":
    """Return the trained model of a run, augmentation layers included.

    Raises:
        ValueError: If there is no readable model.keras.
    """
    import keras

    from models import registry

    registry.builder(read_config(run)["model"])  # registers the layers it uses
    try:
        return keras.saving.load_model(run / "model.keras", compile=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{run / 'model.keras'} is missing or not readable; train the run again. "
            f"Received: run={run} ({str(error).splitlines()[0]})"
        ) from error


def load_inference_model(run: Path) -> "keras.Model":
    """Return the trained model of a run without its augmentation layers."""
    import models

    config = read_config(run)
    trained = load_model(run)
    inference = models.build(
        config["model"],
        tuple(config["input_shape"]),
        config["num_classes"],
        **config["options"],
    )
    inference.set_weights(trained.get_weights())
    return inference
