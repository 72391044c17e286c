"""A model's most confident mistakes as picture files in its run directory."""

from pathlib import Path
from typing import Any

import numpy as np

from fovea.training.runs import directory as runs

DIRECTORY = "mistakes"


def save(
    run: Path, split: str, mistakes: list[dict[str, Any]], images: np.ndarray
) -> None:
    """Write a PNG for each mistake, and its path into the mistake as `picture`.

    The pictures of the split's last evaluation are replaced.

    Args:
        run: The run directory; the pictures are in mistakes/SPLIT/ of it.
        split: "test" or "validation".
        mistakes: As `fovea.training.evaluation.metrics.compute_metrics` returns them.
        images: uint8 (n, height, width, 1 or 3), the images evaluated on.

    Raises:
        OSError: If they cannot be written.
    """
    from PIL import Image

    with runs.replacing_directory(run / DIRECTORY / split) as partial:
        for place, mistake in enumerate(mistakes):
            name = f"{place:02}.png"
            pixels = images[mistake["index"]]
            pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
            Image.fromarray(pixels).save(partial / name)
            mistake["picture"] = f"{DIRECTORY}/{split}/{name}"
