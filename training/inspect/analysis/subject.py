"""The subject of a page: a run's model, and the images that it is inspected with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.models.anatomy.parts import Anatomy
from fovea.training.inspect.units import selection
from fovea.training.inspect.units.selection import Units

if TYPE_CHECKING:
    import keras

    from fovea.training.inspect.analysis.invariance import Curves

# Images surveyed: enough for nine clear patches a unit, few enough for a laptop.
MOST_IMAGES = 2000
# Number of default layers whose units are shown, evenly from first to last.
MOST_LAYERS = 5
# Example images: each is a row of every layer's maps.
MOST_SHOWN = 12
# Images that are shifted, rotated, scaled and made noisy, about fifty times each.
MOST_CHANGED = 300


@dataclass(frozen=True)
class Subject:
    """A model and the images that it is inspected with.

    Args:
        model: uint8 images -> logits (n, K).
        parts: Its anatomy.
        class_names: K strings.
        images: uint8 (n, height, width, channels), not seen in training.
        labels: Integers (n,).
        origin: A name for these images: "test images".
        shown: uint8 (m, height, width, channels): example images, whose maps and
            attributions are shown.
        titles: m strings, a title for each of them.
        layers: The layers whose units are shown; empty for the default.
        numbers: The numbers of the units to show; empty for the default.
    """

    model: keras.Model
    parts: Anatomy
    class_names: Sequence[str]
    images: np.ndarray
    labels: np.ndarray
    origin: str
    shown: np.ndarray
    titles: Sequence[str]
    layers: Sequence[Units] = ()
    numbers: Sequence[int] = ()

    @cached_property
    def every(self) -> list[Units]:
        """The units of all layers with weights, but the last."""
        return selection.with_weights(self.model, self.parts)

    @cached_property
    def chosen(self) -> list[Units]:
        """The layers whose units are shown."""
        if self.layers:
            return list(self.layers)
        places = np.linspace(0, len(self.every) - 1, min(MOST_LAYERS, len(self.every)))
        return [self.every[round(place)] for place in places]

    @cached_property
    def logits(self) -> np.ndarray:
        """The model's logits for `images`, float32 (n, K)."""
        from fovea.training.evaluation.evaluate import predict_logits

        return predict_logits(self.model, self.images)

    @cached_property
    def invariance(self) -> Curves:
        """Accuracy on changed images; see `invariance.curves`."""
        from fovea.training.inspect.analysis.invariance import curves

        return curves(
            self.model, self.images[:MOST_CHANGED], self.labels[:MOST_CHANGED]
        )


def with_default_images(subject: Subject) -> Subject:
    """Choose three example images: two classified correctly, and a mistake, if any.

    Returns:
        The subject with `shown` and `titles`: the first correct images of the two
        lowest classes that have one, and the most confident mistake.
    """
    from fovea.training.inspect.analysis.confusions import probabilities

    confidence = probabilities(subject.logits).max(axis=1)
    predicted = subject.logits.argmax(axis=1)
    right = predicted == subject.labels
    _, firsts = np.unique(subject.labels[right], return_index=True)
    places = [int(place) for place in np.flatnonzero(right)[firsts][:2]]
    wrong = np.flatnonzero(~right)
    if len(wrong):
        places.append(int(wrong[confidence[wrong].argmax()]))
    titles = []
    for place in places:
        name = subject.class_names[subject.labels[place]]
        if not right[place]:
            name += f", taken for {subject.class_names[predicted[place]]}"
        titles.append(name)
    return dataclasses.replace(subject, shown=subject.images[places], titles=titles)


def read(files: Sequence[Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Read pictures as the model's input.

    Args:
        files: Paths of pictures.
        shape: (height, width, channels) to resize and convert them to.

    Returns:
        uint8 (len(files), *shape).

    Raises:
        ValueError: If one cannot be read, picture files do not have this number of
            channels, or there are more than a page holds.
    """
    from fovea.training.datasets import image_files
    from fovea.training.datasets.image_ops import PICTURE_CHANNELS

    if len(files) > MOST_SHOWN:
        raise ValueError(
            f"At most {MOST_SHOWN} pictures can be example images. "
            f"Received: {len(files)} --image files"
        )
    if shape[2] not in PICTURE_CHANNELS:
        raise ValueError(
            "Pictures have 1 or 3 channels, and this model takes images of "
            f"{shape[2]}. Received: --image {files[0]}"
        )
    images = []
    for path in files:
        try:
            images.append(image_files.read(path, shape))
        except Exception as error:  # Pillow raises errors of many types
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise ValueError(
                f"An image must be a picture that Pillow can read ({reason}). "
                f"Received: --image {path}"
            ) from error
    return np.stack(images)
