"""`fovea augment`: a picture of what a policy makes of a data set's images."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.models import backend
from fovea.training.datasets import load

if TYPE_CHECKING:
    from PIL import Image

EPOCHS = 8  # columns beside the original
CELL = 96  # pixels that an image's longer side is enlarged to, at least
GAP = 6
PAPER, INK, FAINT = "#ffffff", "#202020", "#707070"
# Not a colour that augmentation fills with, so that filled pixels stand out.
FRAME = "#d8d8e8"


def augmented(images: np.ndarray, layers: list, epochs: int) -> np.ndarray:
    """Return images as a model would see them in successive epochs.

    Args:
        images: uint8 (n, height, width, channels).
        layers: Augmentation layers that take black as -1 and white as 1.
        epochs: How many.

    Returns:
        uint8 (epochs, n, height, width, channels).
    """
    seen = []
    for epoch in range(epochs):
        x = images.astype(np.float32) / 127.5 - 1
        for layer in layers:
            if hasattr(layer, "set_epoch"):
                layer.set_epoch(epoch)
            x = layer(x, training=True)
        x = np.clip(np.asarray(x), -1, 1)
        seen.append(np.round((x + 1) * 127.5).astype(np.uint8))
    return np.stack(seen)


def draw(
    images: np.ndarray, epochs: np.ndarray, names: list[str], title: str, steps: str
) -> "Image.Image":
    """Draw the sheet: a row for each image, the original first.

    Args:
        images: uint8 (n, height, width, channels), the originals.
        epochs: uint8 (epochs, n, height, width, channels).
        names: n class names.
        title: The first line.
        steps: The second line: what is done to the images.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = images.shape[1:3]
    scale = max(1, -(-CELL // max(height, width)))
    cell_height, cell_width = height * scale, width * scale
    large, small = ImageFont.load_default(18), ImageFont.load_default(14)
    margin = 16
    left = margin + int(max(map(small.getlength, names))) + 10
    top = margin + 78
    columns = [images, *epochs]
    size = (
        left + len(columns) * (cell_width + GAP) + GAP + margin,
        top + len(images) * (cell_height + GAP) + margin,
    )
    # No narrower than its text.
    text_width = max(large.getlength(title), small.getlength(steps))
    size = (max(size[0], int(text_width) + 2 * margin), size[1])
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((margin, margin), title, INK, font=large)
    pen.text((margin, margin + 26), steps, FAINT, font=small)
    for j, column in enumerate(columns):
        # The originals stand a little apart from what became of them.
        x = left + j * (cell_width + GAP) + (GAP if j else 0)
        heading = f"epoch {j}" if j else "original"
        middle = (x + cell_width // 2, top - 14)
        pen.text(middle, heading, INK, font=small, anchor="mm")
        for i, image in enumerate(column):
            y = top + i * (cell_height + GAP)
            frame = (x - 2, y - 2, x + cell_width + 1, y + cell_height + 1)
            pen.rectangle(frame, FRAME)
            pixels = image[..., 0] if image.shape[-1] == 1 else image
            enlarged = Image.fromarray(pixels).resize(
                (cell_width, cell_height), Image.Resampling.NEAREST
            )
            sheet.paste(enlarged, (x, y))
    for i, name in enumerate(names):
        y = top + i * (cell_height + GAP) + cell_height // 2
        pen.text((left - 10, y), name, INK, font=small, anchor="rm")
    return sheet


def describe(layer) -> str:
    """Return a layer's class and its settings: "RandomShift (pixels=4)"."""
    hidden = ("name", "trainable", "dtype", "seed", "value_range", "fill_value")
    settings = ", ".join(
        f"{key}={value}"
        for key, value in layer.get_config().items()
        if key not in hidden and value
    )
    return type(layer).__name__ + (f" ({settings})" if settings else "")


def choose(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return places of `count` images, class after class, then round again."""
    order = np.random.default_rng(seed).permutation(len(labels))
    nth_of_its_class = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        nth_of_its_class[order[labels[order] == label]] = np.arange(
            np.count_nonzero(labels == label)
        )
    return np.lexsort((labels, nth_of_its_class))[:count]


def write(sheet: "Image.Image", path: Path) -> None:
    """Write a PNG that is, at any moment, either not there or complete.

    Raises:
        OSError: If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        sheet.save(partial, format="PNG")
        partial.replace(path)
    except OSError as error:
        raise OSError(_cannot(path, error.strerror or str(error))) from error
    finally:
        partial.unlink(missing_ok=True)


def _check_output(path: Path) -> None:
    """Raise OSError or ValueError before seconds of work end in nothing."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"The contact sheet is a .png file. Received: --output {path}")
    if path.is_dir():
        raise OSError(_cannot(path, "it is a directory"))
    if not path.parent.is_dir():
        raise OSError(_cannot(path, f"{path.parent} is not a directory"))
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OSError(_cannot(path, f"{path.parent} is not writable"))


def _cannot(path: Path, reason: str) -> str:
    return f"The contact sheet cannot be written: {reason}. Received: --output {path}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    load.add_data_arguments(parser)
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
    """Carry out the command; return the exit code."""
    if not 1 <= args.images <= 100:
        raise ValueError(f"--images must be 1 to 100. Received: --images {args.images}")
    if args.output is not None:
        _check_output(args.output)
    backend.prepare(args.debug)
    import keras

    from fovea.models import augmentation

    keras.utils.set_random_seed(args.seed)
    layers = augmentation.resolve(args.policy, fill_value=-1.0, white_value=1.0)
    dataset = load.from_arguments(args)
    name = load.short_name(dataset.name)
    output = args.output or Path(f"augment-{name}-{args.policy}.png")
    _check_output(output)
    chosen = choose(dataset.y_train, args.images, args.seed)
    images = dataset.x_train[chosen]
    sheet = draw(
        images,
        augmented(images, layers, EPOCHS),
        [dataset.class_names[label] for label in dataset.y_train[chosen]],
        f"{name}, augmentation policy {args.policy}",
        ", then ".join(map(describe, layers)) or "images as they are",
    )
    write(sheet, output)
    print(f"{len(images)} images of {name} ({dataset.source}): {output}")
    return 0
