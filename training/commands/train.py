"""`fovea train`: fit a model to a data set, or go on with a run."""

import argparse
from pathlib import Path

from fovea.models import backend, registry
from fovea.models.parse_options import parse_options
from fovea.training.datasets import load
from fovea.training.recipes import files, schema
from fovea.training.runs import directory as runs

# Of the exit code: the model was trained, but files could not be written.
NOT_SAVED = 3
# Recipe keys that have an argument of their own.
SHORT = ("epochs", "batch_size", "learning_rate", "augmentation", "validation_split")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="architecture, e.g. lenet5"
    )
    load.add_data_arguments(parser, required=False)
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="go on with a run that was stopped, where it was last saved",
    )
    add_training_arguments(parser)
    parser.add_argument(
        "--pretrain",
        choices=("layerwise",),
        help="first train each block of the network with a head of its own",
    )
    parser.add_argument(
        "--pretrain-epochs",
        type=int,
        metavar="N",
        help="epochs for each block (default: 1)",
    )
    parser.set_defaults(usage_error=parser.error)


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that say how to train; see `settings` and `keywords`."""
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="run directory (default: under runs/)"
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="one of `fovea recipes`, or a .toml file (default: the pair's own)",
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
        help="the same weights, bit by bit, every time; slower",
    )
    parser.add_argument(
        "--save-every",
        type=int,
        metavar="N",
        help="save every N steps what --resume goes on from (default: every epoch)",
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
    """Return the settings given, as `recipes.schema.with_settings` takes them.

    Raises:
        ValueError: If a text is no setting.
    """
    pairs = [
        f"{key}={getattr(args, key)}" for key in SHORT if getattr(args, key) is not None
    ]
    pairs += args.settings
    parse_options(pairs)  # their form, before seconds of imports
    return pairs


def keywords(args: argparse.Namespace) -> dict:
    """Return what `loop.train.train` takes besides model, data and recipe."""
    return {
        "seed": args.seed or 0,
        "deterministic": args.deterministic,
        "save_every": args.save_every,
        "strategy": args.strategy or "auto",
        "tensorboard": args.tensorboard,
    }


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return the exit code.

    Returns:
        0, 130 if a person interrupted it, or 3 if the training was completed but
        not everything could be written.
    """
    if args.resume is None and (args.model is None or args.dataset is None):
        args.usage_error("the following arguments are required: MODEL, --dataset")
    pairs = settings(args)
    if args.model is not None:
        registry.check(args.model)
    if args.tensorboard:
        import tensorboard  # noqa: F401  (Keras asks for it much later)
    if args.resume is not None:
        directory, metrics = _resume(args, pairs)
    else:
        directory, metrics = _begin(args, pairs)
    return tell(directory, metrics)


def tell(directory: Path, metrics: dict) -> int:
    """Print how training ended; return the exit code, see `run`."""
    if metrics["status"] == "interrupted":
        print(
            f"Interrupted after {metrics['epochs_completed']} whole epochs; "
            f"next: fovea train --resume {directory}"
        )
        return 130
    print(f"{metrics['seconds']:.1f} s; run directory: {directory}")
    if "not_saved" in metrics:
        print(
            f"{len(metrics['not_saved'])} times a file could not be written, last "
            f"{metrics['not_saved'][-1]}"
        )
        return NOT_SAVED
    print(f"next: fovea evaluate {directory}")
    return 0


def _begin(args: argparse.Namespace, pairs: list[str]) -> tuple[Path, dict]:
    backend.prepare(args.debug)  # to know an architecture's options takes Keras
    chosen = files.load(args.model, args.dataset, args.recipe)
    chosen = schema.with_settings(chosen, args.model, pairs)
    if args.pretrain is None and args.pretrain_epochs is not None:
        raise ValueError(
            "--pretrain-epochs belongs to --pretrain layerwise. "
            f"Received: --pretrain-epochs {args.pretrain_epochs}"
        )
    from fovea.training.loop import strategies
    from fovea.training.loop.train import train

    strategies.resolve(args.strategy or "auto")  # before devices are used
    dataset = load.from_arguments(args)
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


def _resume(args: argparse.Namespace, pairs: list[str]) -> tuple[Path, dict]:
    if args.run is not None and args.run != args.resume:
        raise ValueError(
            "A run goes on in its own directory. "
            f"Received: --resume {args.resume} --run {args.run}"
        )
    config = runs.read_config(args.resume)
    for key, asked in (
        ("model", args.model),
        ("seed", args.seed),
        ("deterministic", args.deterministic or None),
        ("pretrain", args.pretrain),
    ):
        if asked is not None and asked != config.get(key):
            raise ValueError(
                f"A run goes on as it was begun, with {key}={config.get(key)}. "
                f"Received: {key}={asked}"
            )
    backend.prepare(args.debug)
    from fovea.training.loop import strategies
    from fovea.training.loop.train import resume

    strategies.resolve(args.strategy or config["strategy"])
    epochs = _epochs(args, pairs, config)
    dataset = load.load_for(config, args.data_dir, args.dataset)
    print(f"{config['model']} on {dataset.name}, going on in {args.resume}")
    metrics = resume(
        args.resume,
        dataset,
        epochs=epochs,
        save_every=args.save_every,
        strategy=args.strategy,
        tensorboard=args.tensorboard,
    )
    return args.resume, metrics


def _epochs(args: argparse.Namespace, pairs: list[str], config: dict) -> int:
    """Return the number of epochs asked for, the one thing that may change.

    Raises:
        ValueError: If anything else of the recipe is to change.
    """
    begun = schema.from_dict(config["recipe"])
    asked = begun
    if args.recipe is not None:
        asked = files.load(config["model"], config["dataset"], args.recipe)
    asked = schema.with_settings(asked, config["model"], pairs).to_dict()
    if asked["augmentation"] == "auto":  # the data set's, which has not changed
        asked["augmentation"] = begun.augmentation
    for key, value in begun.to_dict().items():
        if key != "epochs" and asked[key] != value:
            raise ValueError(
                f"A run goes on with the recipe that it was begun with, {key}={value}. "
                f"Received: {key}={asked[key]}"
            )
    return asked["epochs"]
