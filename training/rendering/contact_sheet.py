"""A contact sheet: images beside what an augmentation policy makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras
    from PIL import Image

CELL = 96  # pixels that an image's longer side is enlarged to, at least
GAP = 6
PAPER, INK, FAINT = "#ffffff", "#202020", "#707070"
# Not a colour that augmentation fills with, so that filled pixels stand out.
FRAME = "#d8d8e8"


def augmented(
    images: np.ndarray, layers: Sequence[keras.Layer], epochs: int
) -> np.ndarray:
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
) -> Image.Image:
    """Draw the sheet: a row for each image, the original in the first column.

    Args:
        images: uint8 (n, height, width, channels), the originals.
        epochs: uint8 (epochs, n, height, width, channels).
        names: n names of classes.
        title: The first line.
        steps: The second line: the augmentation layers.
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
        # A wider gap after the originals.
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


def describe(layer: keras.Layer) -> str:
    """Return a layer's class and its settings: "RandomShift (pixels=4)"."""
    hidden = ("name", "trainable", "dtype", "seed", "value_range", "fill_value")
    settings = ", ".join(
        f"{key}={value}"
        for key, value in layer.get_config().items()
        if key not in hidden and value
    )
    return type(layer).__name__ + (f" ({settings})" if settings else "")


def choose(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return indices of `count` images, one of each class in turn."""
    order = np.random.default_rng(seed).permutation(len(labels))
    nth_of_its_class = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        nth_of_its_class[order[labels[order] == label]] = np.arange(
            np.count_nonzero(labels == label)
        )
    return np.lexsort((labels, nth_of_its_class))[:count]


def write(sheet: Image.Image, path: Path) -> None:
    """Write a PNG file, replacing an older one only by a complete one.

    Raises:
        OSError: If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        sheet.save(partial, format="PNG")
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(unwritable(path, reason)) from error
    finally:
        partial.unlink(missing_ok=True)


def unwritable(path: Path, reason: str) -> str:
    """Return the error text for a sheet that cannot be written."""
    return f"The contact sheet cannot be written: {reason}. Received: --output {path}"
