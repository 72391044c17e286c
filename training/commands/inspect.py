"""`fovea inspect`: what a run's network looks for, as a page of pictures."""

import argparse
import os
from pathlib import Path

from fovea.models import backend
from fovea.training.datasets import load
from fovea.training.evaluation import evaluate
from fovea.training.evaluation.report import SPLITS
from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained
from fovea.training.runs.load import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
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
        "tell the classes apart best)",
    )
    parser.add_argument(
        "--image",
        action="extend",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="follow these pictures through the network (default: three of the data "
        "set, one of them a mistake)",
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="where the page and its pictures go (default: RUN/inspect)",
    )
    parser.add_argument(
        "--dataset", metavar="D", help="where the run's data set is, if it has moved"
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="directory with D.npz (or FOVEA_DATA_DIR)"
    )


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return the exit code."""
    directory = pretrained.locate(args.run)
    config = runs.read_config(directory)
    if args.to is None and pretrained.is_name(args.run):
        raise ValueError(
            "What comes with the package stays as it is: --to DIR says where the page "
            f"goes. Received: {args.run}"
        )
    target = args.to or directory / "inspect"
    backend.prepare(args.debug)
    from fovea.models.anatomy.walk import anatomy
    from fovea.training.inspect import invariance, page, subject
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
    every = subject.Subject(
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
    selection.check_numbers(every.chosen if args.unit else [], args.unit)
    if given is None:
        every = subject.with_default_images(every)
    name = load.short_name(config["dataset"])
    path = page.write(
        target,
        every,
        f"{config['model']} on {name}",
        [
            f"Run: {args.run.resolve().name}. Asked about {len(images):,} {origin} of "
            f"{source}.",
            f"Followed one by one: {'; '.join(every.titles)}.",
        ],
        lambda what: print(f"{what} ...", flush=True),
    )
    if not pretrained.is_name(args.run):
        changed = min(len(images), subject.MOST_CHANGED)
        invariance.record(directory, every.invariance, changed, split)
    print(f"page: {path}")
    return 0


def _images(config: dict, args: argparse.Namespace):
    """Return images that the run was not trained on, labels, their split, whence."""
    from fovea.training.inspect.subject import MOST_IMAGES

    dataset = load.load_for(config, args.data_dir, args.dataset)
    # What was held out can be told of the same training images only.
    same = len(dataset.x_train) == config.get("training_images", len(dataset.x_train))
    held_out = config["recipe"]["validation_split"] > 0
    tested = len(dataset.x_test) > 0
    split = "validation" if held_out and (same or not tested) else "test"
    images, labels, _ = evaluate.part(dataset, split, config)
    # Where the images lay is nothing that should travel with the page.
    name = load.short_name(os.fspath(dataset.name))
    return images[:MOST_IMAGES], labels[:MOST_IMAGES], split, name
