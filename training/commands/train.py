"""`fovea train`: train a model on a data set, or resume a run."""

import argparse
from pathlib import Path
from typing import Any

from fovea.models import backend, registry
from fovea.models.parse_options import parse_options
from fovea.training.commands import data_arguments
from fovea.training.datasets import load
from fovea.training.recipes import files, schema
from fovea.training.runs import directory as runs

# Exit code: the model was trained, but files could not be written.
NOT_SAVED = 3
# Recipe keys that have an argument of their own.
SHORT = ("epochs", "batch_size", "learning_rate", "augmentation", "validation_split")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea train`."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="architecture, e.g. lenet5"
    )
    data_arguments.add_arguments(parser, required=False)
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="resume a run that was stopped, from its last checkpoint",
    )
    add_training_arguments(parser)
    parser.add_argument(
        "--pretrain",
        choices=("layerwise",),
        help="first train each block of the network with its own head",
    )
    parser.add_argument(
        "--pretrain-epochs",
        type=int,
        metavar="N",
        help="epochs for each block (default: 1)",
    )
    parser.set_defaults(usage_error=parser.error)


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the hyper-parameters and options of training.

    `settings` and `keywords` read them.
    """
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="run directory (default: under runs/)"
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="one of `fovea recipes`, or a .toml file (default: that of the model and "
        "data set)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="KEY=VALUE",
        help="a key of the recipe or an option of the architecture, e.g. "
        "label_smoothing=0.1 or activation=relu; repeatable",
    )
    for key, metavar in zip(SHORT, ("N", "N", "X", "POLICY", "X"), strict=True):
        parser.add_argument(
            f"--{key.replace('_', '-')}", metavar=metavar, help=f"--set {key}={metavar}"
        )
    parser.add_argument("--seed", type=int, metavar="N", help="default: 0")
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="bitwise the same weights in every run; slower",
    )
    parser.add_argument(
        "--save-every",
        type=int,
        metavar="N",
        help="write a checkpoint every N steps (default: every epoch)",
    )
    parser.add_argument(
        "--strategy",
        metavar="S",
        help="auto, single, mirrored (all devices of this machine) or multiworker "
        "(default: auto)",
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write TensorBoard's events"
    )


def settings(args: argparse.Namespace) -> list[str]:
    """Return the given settings, as `recipes.schema.with_settings` takes them.

    Raises:
        ValueError: If a text is not of the form KEY=VALUE.
    """
    pairs = [
        f"{key}={getattr(args, key)}" for key in SHORT if getattr(args, key) is not None
    ]
    pairs += args.settings
    parse_options(pairs)  # checks their form before seconds of imports
    return pairs


def keywords(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `loop.train.train` besides model, data and recipe."""
    return {
        "seed": args.seed or 0,
        "deterministic": args.deterministic,
        "save_every": args.save_every,
        "strategy": args.strategy or "auto",
        "tensorboard": args.tensorboard,
    }


def run(args: argparse.Namespace) -> int:
    """Train or resume as the arguments say.

    Returns:
        The exit code: 0, 130 after Ctrl-C, or 3 if training is complete but not all
        files could be written.
    """
    if args.resume is None and (args.model is None or args.dataset is None):
        args.usage_error("the following arguments are required: MODEL, --dataset")
    pairs = settings(args)
    if args.model is not None:
        registry.check(args.model)
    if args.tensorboard:
        import tensorboard  # noqa: F401  (Keras imports it much later)
    if args.resume is not None:
        directory, metrics = _resume(args, pairs)
    else:
        directory, metrics = _begin(args, pairs)
    return report(directory, metrics)


def report(directory: Path, metrics: dict[str, Any]) -> int:
    """Print how training ended; return the exit code, see `run`."""
    if metrics["status"] == "interrupted":
        print(
            f"Interrupted after {metrics['epochs_completed']} complete epochs; "
            f"next: fovea train --resume {directory}"
        )
        return 130
    print(f"{metrics['seconds']:.1f} s; run directory: {directory}")
    if "not_saved" in metrics:
        print(
            f"Files could not be written {len(metrics['not_saved'])} times; last "
            f"{metrics['not_saved'][-1]}"
        )
        return NOT_SAVED
    print(f"next: fovea evaluate {directory}")
    return 0


def _begin(args: argparse.Namespace, pairs: list[str]) -> tuple[Path, dict[str, Any]]:
    backend.prepare(args.debug)  # Keras is needed to list an architecture's options
    chosen = files.load(args.model, args.dataset, args.recipe)
    chosen = schema.with_settings(chosen, args.model, pairs)
    if args.pretrain is None and args.pretrain_epochs is not None:
        raise ValueError(
            "--pretrain-epochs belongs to --pretrain layerwise. "
            f"Received: --pretrain-epochs {args.pretrain_epochs}"
        )
    from fovea.training.loop.distribution import strategies
    from fovea.training.loop.train import train

    strategies.resolve(args.strategy or "auto")  # before devices are used
    dataset = data_arguments.load_dataset(args)
    pretrain_epochs = args.pretrain_epochs
    if args.pretrain is not None and pretrain_epochs is None:
        pretrain_epochs = 1
    directory = args.run or runs.default_path(args.model, load.short_name(dataset.name))
    print(f"{args.model} on {dataset.name} ({dataset.source})")
    return directory, train(
        args.model,
        dataset,
        directory,
        chosen,
        pretrain_epochs=pretrain_epochs,
        **keywords(args),
    )


def _resume(args: argparse.Namespace, pairs: list[str]) -> tuple[Path, dict[str, Any]]:
    if args.run is not None and args.run != args.resume:
        raise ValueError(
            "A run is resumed in its own directory. "
            f"Received: --resume {args.resume} --run {args.run}"
        )
    config = runs.read_config(args.resume)
    for key, value in (
        ("model", args.model),
        ("seed", args.seed),
        ("deterministic", args.deterministic or None),
        ("pretrain", args.pretrain),
    ):
        if value is not None and value != config.get(key):
            raise ValueError(
                f"A run is resumed as it was started, with {key}={config.get(key)}. "
                f"Received: {key}={value}"
            )
    backend.prepare(args.debug)
    from fovea.training.loop.distribution import strategies
    from fovea.training.loop.train import resume

    strategies.resolve(args.strategy or config["strategy"])
    epochs = _epochs(args, pairs, config)
    dataset = load.load_for(config, args.data_dir, args.dataset)
    print(f"{config['model']} on {dataset.name}, resuming {args.resume}")
    metrics = resume(
        args.resume,
        dataset,
        epochs=epochs,
        save_every=args.save_every,
        strategy=args.strategy,
        tensorboard=args.tensorboard,
    )
    return args.resume, metrics


def _epochs(args: argparse.Namespace, pairs: list[str], config: dict[str, Any]) -> int:
    """Return the number of epochs that the arguments set, which alone may change.

    Raises:
        ValueError: If another value of the recipe would change.
    """
    started = schema.from_dict(config["recipe"])
    recipe = started
    if args.recipe is not None:
        recipe = files.load(config["model"], config["dataset"], args.recipe)
    values = schema.with_settings(recipe, config["model"], pairs).to_dict()
    if values["augmentation"] == "auto":  # the data set's, which has not changed
        values["augmentation"] = started.augmentation
    for key, value in started.to_dict().items():
        if key != "epochs" and values[key] != value:
            raise ValueError(
                "A run is resumed with the recipe that it was started with, "
                f"{key}={value}. Received: {key}={values[key]}"
            )
    return values["epochs"]
