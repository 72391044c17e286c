"""`fovea inspect`: what a run's network looks for, as a page of pictures."""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

from fovea.models import backend
from fovea.training.commands import data_arguments
from fovea.training.datasets import load
from fovea.training.evaluation import evaluate
from fovea.training.evaluation.report import SPLITS
from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained
from fovea.training.runs.load import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea inspect`."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a run directory, or pretrained:NAME"
    )
    parser.add_argument(
        "--layer",
        action="extend",
        nargs="+",
        default=[],
        metavar="L",
        help="show units of these layers (default: up to five, from first to last)",
    )
    parser.add_argument(
        "--unit",
        action="extend",
        nargs="+",
        type=int,
        default=[],
        metavar="N",
        help="show these units of each layer, counted from 0 (default: the four that "
        "separate the classes best)",
    )
    parser.add_argument(
        "--image",
        action="extend",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="pictures whose feature maps and attributions are shown (default: three "
        "of the data set, one of them a mistake)",
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="directory of the page and its pictures (default: RUN/inspect)",
    )
    data_arguments.add_location_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the page that the arguments describe; return the exit code."""
    directory = pretrained.locate(args.run)
    config = runs.read_config(directory)
    if args.to is None and pretrained.is_name(args.run):
        raise ValueError(
            "The package's own directories are not written to: --to DIR says where the "
            f"page goes. Received: {args.run}"
        )
    target = args.to or directory / "inspect"
    backend.prepare(args.debug)
    from fovea.models.anatomy.walk import anatomy
    from fovea.training.inspect import page
    from fovea.training.inspect.analysis import invariance, subject
    from fovea.training.inspect.units import selection

    page.check_target(target)
    model = load_model(directory)
    model.jit_compile = backend.has_gpu()
    parts = anatomy(model)
    layers = selection.named(model, parts, args.layer)
    shape = tuple(config["input_shape"])
    given = subject.read(args.image, shape) if args.image else None
    images, labels, split, source = _images(config, args)
    origin = SPLITS[split]
    inspected = subject.Subject(
        model,
        parts,
        config["class_names"],
        images,
        labels,
        origin,
        images[:0] if given is None else given,
        [path.name for path in args.image],
        layers,
        args.unit,
    )
    selection.check_numbers(inspected.chosen if args.unit else [], args.unit)
    if given is None:
        inspected = subject.with_default_images(inspected)
    name = load.short_name(config["dataset"])
    path = page.write(
        target,
        inspected,
        f"{config['model']} on {name}",
        [
            f"Run: {args.run.resolve().name}. Inspected with {len(images):,} {origin} "
            f"of {source}.",
            f"Examples: {'; '.join(inspected.titles)}.",
        ],
        on_progress=lambda step: print(f"{step} ...", flush=True),
    )
    if not pretrained.is_name(args.run):
        changed = min(len(images), subject.MOST_CHANGED)
        invariance.record(directory, inspected.invariance, changed, split)
    print(f"page: {path}")
    return 0


def _images(
    config: dict[str, Any], args: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray, str, str]:
    """Load images that the run was not trained on.

    Returns:
        Images, labels, their split, and the name of their data set.
    """
    from fovea.training.inspect.analysis.subject import MOST_IMAGES

    dataset = load.load_for(config, args.data_dir, args.dataset)
    # The held-out images are known only if the training images are the same.
    same = len(dataset.x_train) == config.get("training_images", len(dataset.x_train))
    held_out = config["recipe"]["validation_split"] > 0
    tested = len(dataset.x_test) > 0
    split = "validation" if held_out and (same or not tested) else "test"
    images, labels, _ = evaluate.select_split(dataset, split, config)
    # The page must not contain the path of the images.
    name = load.short_name(os.fspath(dataset.name))
    return images[:MOST_IMAGES], labels[:MOST_IMAGES], split, name
