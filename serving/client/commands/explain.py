"""`fovea predict --explain`: images, and what in them speaks for the answers, drawn."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.serving.client.errors import BadImage
from fovea.serving.client.heatmaps.explain_images import explain_images

if TYPE_CHECKING:
    from fovea.serving.client.client import Client
    from fovea.serving.client.commands.sources import Named
    from fovea.serving.client.images import ImageSource

# More in one picture are not looked at, and take memory by the gigabyte.
MOST_IMAGES = 100


def check(path: Path) -> None:
    """Refuse a picture that could not be written, before anything is asked.

    Raises:
        ValueError: if it is no .png file.
        OSError: if its folder cannot be written to.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(
            f"The explanations are a .png file. Received: --explain {path}"
        )
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise OSError(
            f"The explanations cannot be written there. Received: --explain {path}"
        )


def remembered(
    named: Iterator[Named], images: dict[str, ImageSource]
) -> Iterator[Named]:
    """Pass on what is to be asked about, and keep it for the picture.

    Raises:
        ValueError: if there are too many for one picture.
    """
    for name, image in named:
        if not isinstance(image, BadImage):
            if len(images) == MOST_IMAGES:
                raise ValueError(
                    f"One picture explains at most {MOST_IMAGES} images. "
                    "Received: --explain and more of them"
                )
            images[name] = image
        yield name, image


def write(
    path: Path,
    client: Client,
    images: dict[str, ImageSource],
    *,
    model: str,
    version: int | None,
    label: str | None,
) -> None:
    """Ask for explanations and draw them, each image beside its own.

    Args:
        path: the .png file, replaced when the picture is whole.
        client: where to ask.
        images: those that were answered, by their names.
        model: see Client.predict, as the next two.
        version: the version to ask.
        label: a version label to ask instead.

    Raises:
        ClientError: if the model cannot explain itself.
        OSError: if the file cannot be written.
    """
    from PIL import Image

    from fovea.serving.client.heatmaps import draw
    from fovea.serving.client.images import encode_image

    sent = [encode_image(image) for image in images.values()]
    answers = explain_images(client, sent, model=model, version=version, label=label)
    tiles = []
    for name, data, answer in zip(images, sent, answers, strict=True):
        with Image.open(io.BytesIO(data)) as image:
            tiles.append(draw.draw(answer, image, name))
    partial = path.with_name(f".{path.name}.partial")
    try:
        draw.sheet(tiles).save(partial, format="PNG")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
