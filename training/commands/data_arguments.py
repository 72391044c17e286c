"""The arguments that select a data set, the same in all commands."""

import argparse

from fovea.training.datasets import folder, known, load
from fovea.training.datasets.dataset import Dataset


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Declare the arguments that select the images; see `load_dataset`.

    Args:
        parser: The parser of the command.
        required: Whether --dataset must be given.
    """
    parser.add_argument(
        "--dataset",
        required=required,
        metavar="D",
        help=f"{', '.join(known.names())}, folder:PATH (PATH/train/CLASS/*.png and "
        "PATH/test/..., or PATH/CLASS/*.png) or npz:PATH (the Keras layout)",
    )
    _add_data_dir(parser)
    parser.add_argument(
        "--image-size",
        metavar="HxW",
        help="resize the images, e.g. 32 or 48x64 (default: their own size; a "
        f"folder's, if they differ or are larger than {folder.LARGEST_KEPT}: "
        f"{folder.DEFAULT_SIDE})",
    )
    parser.add_argument(
        "--channels",
        type=int,
        choices=(1, 3),
        help="1: grey, 3: colour (default: as the images are)",
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out images of a folder that cannot be read",
    )


def add_location_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that locate the data set of an existing run."""
    parser.add_argument(
        "--dataset", metavar="D", help="where the run's data set is, if it has moved"
    )
    _add_data_dir(parser)


def load_dataset(
    args: argparse.Namespace, input_shape: tuple[int, int, int] | None = None
) -> Dataset:
    """Load the data set that the arguments of `add_arguments` select.

    Args:
        args: The parsed arguments.
        input_shape: The input shape of an existing model: the images are fitted to
            it, and --image-size and --channels must not contradict it.

    Raises:
        ValueError: If the data set is invalid (see `load.load`), or a size is.
        OSError: If the data were not found.
    """
    size = parse_image_size(args.image_size) if args.image_size else None
    channels = args.channels
    if input_shape is not None:
        height, width, depth = input_shape
        if size not in (None, (height, width)) or channels not in (None, depth):
            raise ValueError(
                f"The model takes images of {height}x{width} with {depth} channel(s). "
                f"Received: --image-size {args.image_size} --channels {channels}"
            )
        size, channels = (height, width), depth
    return load.load(
        args.dataset,
        args.data_dir,
        image_size=size,
        channels=channels,
        skip_bad=args.skip_bad,
    )


def parse_image_size(text: str) -> tuple[int, int]:
    """Return (height, width) of a text such as "32" or "48x64".

    Raises:
        ValueError: If the text is not a size.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(s.isdecimal() and int(s) > 0 for s in sides):
        raise ValueError(
            "An image size must be a number of pixels, or height x width, such as 32 "
            f"or 48x64. Received: --image-size {text}"
        )
    return int(sides[0]), int(sides[-1])


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", metavar="DIR", help="directory with D.npz (or FOVEA_DATA_DIR)"
    )
