"""`fovea predict --explain`: draw images beside heat maps of their predictions."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.serving.client.errors import ClientError

if TYPE_CHECKING:
    from fovea.serving.client.client import Client
    from fovea.serving.client.images import ImageSource
    from fovea.serving.client.named_image import NamedImage

# Nobody looks at more in one file, and they would take gigabytes of memory.
MAX_IMAGES = 100


def check_output(path: Path) -> None:
    """Check that the drawing can be written, before any request is sent.

    Raises:
        ValueError: If it is not a .png file.
        OSError: If its folder cannot be written to.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(
            f"Explanations are written to .png. Received: --explain {path}"
        )
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise OSError(
            f"The explanations cannot be written there. Received: --explain {path}"
        )


def collect(
    images: Iterator[NamedImage], collected: dict[str, ImageSource]
) -> Iterator[NamedImage]:
    """Pass images on, and collect those that can be sent for the drawing.

    Args:
        images: The images of the command.
        collected: Is filled with the images by their names.

    Raises:
        ValueError: If there are more than `MAX_IMAGES`.
    """
    for named in images:
        if not isinstance(named.image, ClientError):
            if len(collected) == MAX_IMAGES:
                raise ValueError(
                    f"--explain draws at most {MAX_IMAGES} images. "
                    "Received: more than these"
                )
            collected[named.name] = named.image
        yield named


def write(
    path: Path,
    client: Client,
    images: dict[str, ImageSource],
    *,
    model: str,
    version: int | None,
    label: str | None,
) -> None:
    """Request explanations and draw them, each image beside its own.

    Args:
        path: The .png file; it is replaced when the drawing is complete.
        client: The client that sends the requests.
        images: The images that have predictions, by name.
        model: Name of the model.
        version: Version to call; the newest that is ready if None.
        label: Version label to call instead.

    Raises:
        ClientError: If the model has no explanations.
        OSError: If the file cannot be written.
    """
    from PIL import Image

    from fovea.serving.client.heatmaps import draw
    from fovea.serving.client.heatmaps.explain_images import explain_images
    from fovea.serving.client.images import encode_image

    encoded = [encode_image(image, name=name) for name, image in images.items()]
    explanations = explain_images(
        client, encoded, model=model, version=version, label=label
    )
    tiles = []
    for name, data, explanation in zip(images, encoded, explanations, strict=True):
        with Image.open(io.BytesIO(data)) as image:
            tiles.append(draw.draw(explanation, image, name))
    partial = path.with_name(f".{path.name}.partial")
    try:
        draw.sheet(tiles).save(partial, format="PNG")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
