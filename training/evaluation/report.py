"""report.html: a run on one self-contained page."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fovea.training.datasets import load
from fovea.training.evaluation import plots
from fovea.training.evaluation.metrics import confusions
from fovea.training.rendering import html as pages
from fovea.training.runs import directory as runs

FILE = "report.html"
CONFUSIONS = 12
# The splits that metrics.json may hold metrics of; the page shows the first.
SPLITS = {"test": "test images", "validation": "held-out training images"}
TILES = {"test": "Test accuracy", "validation": "Held-out accuracy"}
# Keys of config.json that the page shows elsewhere.
SHOWN_ELSEWHERE = {"model", "recipe", "options", "class_names"}


def write(run: Path) -> Path:
    """Write a run's report from what its directory holds.

    Args:
        run: The run directory; evaluated or not.

    Returns:
        The report's path.

    Raises:
        ValueError: If `run` is not a run directory.
        OSError: If the report cannot be written.
    """
    config, metrics = runs.read_config(run), runs.read_metrics(run)
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    history = runs.read_history(run)
    setup = {key: value for key, value in config.items() if key not in SHOWN_ELSEWHERE}
    machine = {key: value for key, value in environment.items() if key != "command"}
    html = pages.render(
        "report.html",
        model=config["model"],
        dataset=load.short_name(config["dataset"]),
        classes=config["class_names"],
        source=config["data_source"],
        run=run,
        status=_status(metrics),
        tiles=list(_tiles(metrics)),
        curves=plots.learning_curves(history) if history else [],
        evaluation=_evaluation(run, metrics),
        command=_command(environment["command"]),
        facts={
            "Recipe": _facts(config["recipe"]),
            "Run": _facts(setup),
            "Machine": _facts(machine),
        },
    )
    path = run / FILE
    with runs.replacing(path) as partial:
        partial.write_text(html, encoding="utf-8")
    return path


def _tiles(metrics: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the metrics at the top: name, value, and a note."""
    for name in SPLITS:
        if name not in metrics:
            continue
        result = metrics[name]
        note = f"{result['images']:,} images"
        if "accuracy_interval" in result:
            low, high = result["accuracy_interval"]
            note = f"95% interval {low:.2%} to {high:.2%}, {note}"
        yield TILES[name], f"{result['accuracy']:.2%}", note
        if "test_time_augmentation" in result:
            augmented = result["test_time_augmentation"]
            yield (
                f"… with {augmented['policy']}",
                f"{augmented['accuracy']:.2%}",
                "mean over views of an image; a served model predicts without",
            )
    split = _evaluated_split(metrics)
    if split is None:
        return
    result = metrics[split]
    if "top_k" in result:
        top = result["top_k"]
        note = f"true class among the {top['k']} most probable"
        yield f"Top-{top['k']} accuracy", f"{top['accuracy']:.2%}", note
    yield "Cross-entropy", f"{result['loss']:.4f}", "mean, in nats"
    error = result["calibration"]["error"]
    yield "Calibration error", f"{error:.2%}", "confidence against accuracy"


def _command(words: list[str]) -> str:
    """Return the command that repeats the run."""
    program = Path(words[0])
    if program.name == "__main__.py":  # python -m fovea
        program = program.parent
    is_fovea = program.stem == "fovea"
    return shlex.join(["fovea", *words[1:]] if is_fovea else ["python", *words])


def _status(metrics: dict[str, Any]) -> str:
    if not metrics:
        return "Training has not ended."
    epochs = metrics["epochs_completed"]
    return (
        f"{metrics['parameters']:,} parameters, trained for {epochs} "
        f"epoch{'' if epochs == 1 else 's'} in {_duration(metrics['seconds'])} "
        f"({metrics['status']})."
    )


def _evaluated_split(metrics: dict[str, Any]) -> str | None:
    """Return the split that `evaluate` was run on, not only measured in training."""
    return next((s for s in SPLITS if "confusion" in metrics.get(s, {})), None)


def _evaluation(run: Path, metrics: dict[str, Any]) -> dict[str, Any] | None:
    """Return the page's values about an evaluation; None before there is one."""
    split = _evaluated_split(metrics)
    if split is None:
        return None
    result = metrics[split]
    present = [row for row in result["classes"] if row["support"]]
    return {
        "what": SPLITS[split],
        "result": result,
        "hardest": min(present, key=lambda row: row["f1"]),
        "easiest": max(present, key=lambda row: row["f1"]),
        "matrix": plots.confusion_matrix(result),
        "confusions": confusions(result, CONFUSIONS),
        "reliability": plots.reliability_diagram(result),
        "pictures": [
            (mistake, pages.inline(run / mistake["picture"]))
            for mistake in result["mistakes"]
            if "picture" in mistake  # none were written without a run directory
        ],
    }


def _facts(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [(key.replace("_", " "), _text(value)) for key, value in values.items()]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "–"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _duration(total: float) -> str:
    minutes, seconds = divmod(round(total), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
