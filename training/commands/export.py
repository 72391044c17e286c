"""`fovea export`: write a run's model as a version that a server can load."""

import argparse
from pathlib import Path

from fovea.models import backend
from fovea.training.attribution import explainers
from fovea.training.exporting.export import export
from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea export`."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a run directory, or pretrained:NAME"
    )
    parser.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="the model's directory, e.g. exported/mnist; its next version is written",
    )
    parser.add_argument(
        "--with-explain",
        nargs="?",
        const=explainers.AUTO,
        choices=(explainers.AUTO, *explainers.METHODS),
        metavar="METHOD",
        help="add signatures that return a heat map of the evidence for a class, and "
        "the first feature maps. METHOD is grad_cam, or integrated_gradients for "
        "networks without convolutions and images of one channel (default: the one "
        "that suits the model); integrated_gradients takes 6 to 7 times as long as a "
        "plain prediction for one digit and 35 to 50 times for 32 at once, grad_cam "
        "hardly longer",
    )


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return the exit code."""
    directory = pretrained.locate(args.run)
    runs.read_config(directory)
    backend.prepare(args.debug)
    version = export(directory, args.to, with_explain=args.with_explain)
    model = version.parent.resolve()
    print(f"version {version.name} of {model.name}: {version}")
    print(f"next: fovea serve --model_name {model.name} --model_base_path {model}")
    return 0
