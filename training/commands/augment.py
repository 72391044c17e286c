"""`fovea augment`: a picture of what a policy makes of a data set's images."""

import argparse
import os
from pathlib import Path

from fovea.models import backend
from fovea.training.commands import data_arguments
from fovea.training.datasets import load
from fovea.training.rendering import contact_sheet

EPOCHS = 8  # columns beside the original


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea augment`."""
    data_arguments.add_arguments(parser)
    parser.add_argument(
        "--policy",
        required=True,
        metavar="P",
        help="none, mnist, cifar_standard, cifar_strong, cifar_airbench or imagenet",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.png",
        help="the picture (default: augment-D-P.png here)",
    )
    parser.add_argument(
        "--images", type=int, default=8, metavar="N", help="rows (default: 8)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S")


def run(args: argparse.Namespace) -> int:
    """Draw the contact sheet that the arguments describe; return the exit code."""
    if not 1 <= args.images <= 100:
        raise ValueError(f"--images must be 1 to 100. Received: --images {args.images}")
    if args.output is not None:
        _check_output(args.output)
    backend.prepare(args.debug)
    import keras

    from fovea.models import augmentation

    keras.utils.set_random_seed(args.seed)
    layers = augmentation.resolve(args.policy, fill_value=-1.0, white_value=1.0)
    dataset = data_arguments.load_dataset(args)
    name = load.short_name(dataset.name)
    output = args.output or Path(f"augment-{name}-{args.policy}.png")
    _check_output(output)
    chosen = contact_sheet.choose(dataset.y_train, args.images, args.seed)
    images = dataset.x_train[chosen]
    sheet = contact_sheet.draw(
        images,
        contact_sheet.augmented(images, layers, EPOCHS),
        [dataset.class_names[label] for label in dataset.y_train[chosen]],
        f"{name}, augmentation policy {args.policy}",
        ", then ".join(map(contact_sheet.describe, layers)) or "images as they are",
    )
    contact_sheet.write(sheet, output)
    print(f"{len(images)} images of {name} ({dataset.source}): {output}")
    return 0


def _check_output(path: Path) -> None:
    """Raise OSError or ValueError before the data set is loaded."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"The contact sheet is a .png file. Received: --output {path}")
    if path.is_dir():
        raise OSError(contact_sheet.unwritable(path, "it is a directory"))
    if not path.parent.is_dir():
        raise OSError(
            contact_sheet.unwritable(path, f"{path.parent} is not a directory")
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OSError(contact_sheet.unwritable(path, f"{path.parent} is not writable"))
