"""`fovea finetune`: start from a trained network, with other images and classes."""

import argparse
import dataclasses
from pathlib import Path

from fovea.models import backend
from fovea.training.commands import data_arguments
from fovea.training.commands import train as train_command
from fovea.training.datasets import load
from fovea.training.recipes import files
from fovea.training.recipes import schema as recipes
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained

# Half of the default for new networks: the learned weights should change, not be lost.
LEARNING_RATE = 1e-3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea finetune`."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="RUN",
        help="the run to start from, or pretrained:NAME",
    )
    data_arguments.add_arguments(parser)
    parser.add_argument(
        "--freeze-until",
        metavar="LAYER",
        help="do not train this layer nor those before it (default: train all)",
    )
    train_command.add_training_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train from the run that the arguments name; return the exit code of `train`."""
    pairs = train_command.settings(args)
    source = pretrained.locate(args.source)
    config = runs.read_config(source)
    name = config["model"]
    backend.prepare(args.debug)  # Keras is needed to list an architecture's options
    if args.recipe is not None:
        chosen = files.load(name, args.dataset, args.recipe)
    else:
        plain = name in recipes.PLAIN
        rate = recipes.PLAIN_LEARNING_RATE if plain else LEARNING_RATE
        chosen = Recipe(learning_rate=rate)
    # The options of the recipe would make it another network.
    chosen = dataclasses.replace(chosen, options=config["options"])
    chosen = recipes.with_settings(chosen, name, pairs)
    from fovea.training.loop import finetune
    from fovea.training.loop.distribution import strategies
    from fovea.training.loop.train import train

    strategies.resolve(args.strategy or "auto")  # before devices are used
    resized = args.image_size is not None or args.channels is not None
    shape = None if resized else tuple(config["input_shape"])
    dataset = data_arguments.load_dataset(args, shape)
    build = finetune.builder(source, dataset, chosen.options, args.freeze_until)
    directory = args.run or runs.default_path(name, load.short_name(dataset.name))
    print(
        f"{name} of {args.source} on {dataset.name} ({dataset.source})"
        + (f", frozen until {args.freeze_until}" if args.freeze_until else "")
    )
    origin = {
        "finetuned_from": {
            "run": str(args.source),
            "dataset": config["dataset"],
            "freeze_until": args.freeze_until,
        }
    }
    keywords = train_command.keywords(args)
    metrics = train(
        name, dataset, directory, chosen, build=build, origin=origin, **keywords
    )
    return train_command.report(directory, metrics)
