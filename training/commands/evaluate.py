"""`fovea evaluate`: how a run's model does on images it was not trained on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.models import backend
from fovea.terminal import console, print_json, table
from fovea.training.commands import data_arguments
from fovea.training.datasets import load
from fovea.training.evaluation import evaluate
from fovea.training.evaluation.metrics import confusions
from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained
from fovea.training.runs.load import load_model

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

CONFUSIONS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea evaluate`."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a run directory, or pretrained:NAME"
    )
    parser.add_argument(
        "--split",
        choices=("test", "validation"),
        help="evaluate on the test split or on the training images that were held out "
        "(default: test, if the data set has one)",
    )
    parser.add_argument(
        "--test-time-augmentation",
        choices=evaluate.TEST_TIME_AUGMENTATION,
        help="average the logits over views of an image (default: the recipe's)",
    )
    data_arguments.add_location_arguments(parser)
    parser.add_argument(
        "--verbose", action="store_true", help="print the metrics of every class"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Evaluate the run that the arguments name; return the exit code.

    Raises:
        ValueError: If it is not a run directory, or has no images of this split.
        OSError: If the data set is missing or the results cannot be written.
    """
    directory = pretrained.locate(args.run)
    config = runs.read_config(directory)
    backend.prepare(args.debug)
    model = load_model(directory)
    model.jit_compile = backend.has_gpu()
    dataset = load.load_for(config, args.data_dir, args.dataset)
    split = args.split or ("test" if len(dataset.x_test) else "validation")
    images, labels, files = evaluate.select_split(dataset, split, config)
    policy = args.test_time_augmentation or config["recipe"]["test_time_augmentation"]
    result = {
        "dataset": dataset.name,
        "source": dataset.source,
        **evaluate.evaluate(
            model,
            images,
            labels,
            dataset.class_names,
            test_time_augmentation=policy,
        ),
    }
    for mistake in result["mistakes"]:
        if files:
            mistake["file"] = files[mistake["index"]]
    # The package's own directories are read, never written.
    path = None
    if not pretrained.is_name(args.run):
        path = _record(directory, split, result, images)
    if args.json:
        print_json(result)
        return 0
    if split == "validation" and not args.split:
        print(
            "The data set has no test split: evaluated on images held out of training."
        )
    _print(config["model"], split, result, args.verbose)
    if path:
        print(f"report: {path}")
    name = load.short_name(dataset.name)
    print(f"next: fovea export {args.run} --to exported/{name}")
    return 0


def _record(run: Path, split: str, result: dict[str, Any], images: np.ndarray) -> Path:
    """Write the metrics of a split into the run directory; return the report's path."""
    from fovea.training.evaluation import mistakes, report

    mistakes.save(run, split, result["mistakes"], images)
    metrics = runs.read_metrics(run)
    metrics[split] = result
    runs.write_json(run / "metrics.json", metrics)
    return report.write(run)


def _print(model: str, split: str, result: dict[str, Any], verbose: bool) -> None:
    """Print the metrics as a short table.

    Args:
        model: The architecture's name.
        split: "test" or "validation".
        result: What metrics.json holds for the split.
        verbose: Also print every class and the most frequent confusions.
    """
    out = console()
    what = "test" if split == "test" else "held-out training"
    out.print(
        f"{model} on the {result['images']:,} {what} images of "
        f"{load.short_name(result['dataset'])} ({result['source']})",
        style="bold",
        soft_wrap=True,
    )
    grid = table(out)
    grid.show_header = False
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column()
    for row in _rows(result):
        grid.add_row(*row)
    out.print(grid)
    if verbose:
        out.print(_classes(out, result))
        for confusion in confusions(result, CONFUSIONS):
            out.print(
                f"{confusion['images']:>5,} × {confusion['true']} taken for "
                f"{confusion['predicted']}"
            )


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    low, high = result["accuracy_interval"]
    yield "accuracy", f"{result['accuracy']:.4f}", f"95%: {low:.4f} to {high:.4f}"
    if "test_time_augmentation" in result:
        augmented = result["test_time_augmentation"]
        yield (
            f"  with {augmented['policy']}",
            f"{augmented['accuracy']:.4f}",
            "averaged over views of an image; a served model predicts without",
        )
    if "top_k" in result:
        top = result["top_k"]
        yield f"top {top['k']}", f"{top['accuracy']:.4f}", ""
    yield "macro F1", f"{result['macro']['f1']:.4f}", ""
    yield "loss", f"{result['loss']:.4f}", "mean cross-entropy, nats"
    yield (
        "calibration error",
        f"{result['calibration']['error']:.4f}",
        "how far confidence is from accuracy",
    )


def _classes(out: Console, result: dict[str, Any]) -> Table:
    grid = table(out)
    grid.add_column("class", overflow="fold")
    for name in ("precision", "recall", "F1", "images"):
        grid.add_column(name, justify="right", no_wrap=True)
    for row in result["classes"]:
        figures = (f"{row[name]:.4f}" for name in ("precision", "recall", "f1"))
        grid.add_row(row["name"], *figures, f"{row['support']:,}")
    return grid
