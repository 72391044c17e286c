"""What is inspected: a run's model, and the images that it is asked about."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.models.anatomy.parts import Anatomy
from fovea.training.inspect.units import selection as of_layers
from fovea.training.inspect.units.selection import Units

if TYPE_CHECKING:
    import keras

# Images surveyed: enough for nine clear patches a unit, few enough for a laptop.
MOST_IMAGES = 2000
# Of the default layers, so many have units shown, evenly from first to last.
MOST_LAYERS = 5
# Pictures followed through the network: each is a row of every layer's maps.
MOST_SHOWN = 12


# Images that are shifted, turned, scaled and made noisy, some fifty times each.
MOST_CHANGED = 300


@dataclass(frozen=True)
class Subject:
    """What the page is about.

    Args:
        model: uint8 images -> logits (n, K).
        parts: Its anatomy.
        class_names: K strings.
        images: uint8 (n, height, width, channels) that the model was not trained on.
        labels: Integers (n,).
        origin: What these images are: "test images".
        shown: uint8 (m, height, width, channels): images that are followed through
            the network one by one.
        titles: m strings, what each of them is.
        layers: Whose units are shown; empty for a choice.
        numbers: Which units of each; empty for a choice.
    """

    model: "keras.Model"
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
        return of_layers.with_weights(self.model, self.parts)

    @cached_property
    def chosen(self) -> list[Units]:
        """The layers whose units are shown."""
        if self.layers:
            return list(self.layers)
        places = np.linspace(0, len(self.every) - 1, min(MOST_LAYERS, len(self.every)))
        return [self.every[round(place)] for place in places]

    @cached_property
    def logits(self) -> np.ndarray:
        """What the model answers to `images`, float32 (n, K)."""
        from fovea.training.evaluation.evaluate import predict_logits

        return predict_logits(self.model, self.images)

    @cached_property
    def invariance(self) -> "dict[str, list[dict[str, float]]]":
        """How the answers change with the images; see `invariance.curves`."""
        from fovea.training.inspect.invariance import curves

        return curves(
            self.model, self.images[:MOST_CHANGED], self.labels[:MOST_CHANGED]
        )


def with_default_images(subject: Subject) -> Subject:
    """Choose three images to follow: two answered rightly, and one not, if any.

    Returns:
        The same with `shown` and `titles`: the first right ones of the two lowest
        classes that have one, and the mistake that the model is surest of.
    """
    from fovea.training.inspect.confusions import probabilities

    sureness = probabilities(subject.logits).max(axis=1)
    predicted = subject.logits.argmax(axis=1)
    right = predicted == subject.labels
    _, firsts = np.unique(subject.labels[right], return_index=True)
    places = [int(place) for place in np.flatnonzero(right)[firsts][:2]]
    wrong = np.flatnonzero(~right)
    if len(wrong):
        places.append(int(wrong[sureness[wrong].argmax()]))
    titles = []
    for place in places:
        name = subject.class_names[subject.labels[place]]
        if not right[place]:
            name += f", taken for {subject.class_names[predicted[place]]}"
        titles.append(name)
    return dataclasses.replace(subject, shown=subject.images[places], titles=titles)


def read(files: Sequence[Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Read pictures as the model sees them.

    Args:
        files: Paths of pictures.
        shape: (height, width, channels) to bring them to.

    Returns:
        uint8 (len(files), *shape).

    Raises:
        ValueError: If one cannot be read, such images have no file format, or
            there are more than a page holds.
    """
    from fovea.training.datasets import image_files
    from fovea.training.datasets.image_ops import PICTURE_CHANNELS

    if len(files) > MOST_SHOWN:
        raise ValueError(
            f"At most {MOST_SHOWN} pictures are followed through the network. "
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
        except Exception as error:  # Pillow's are of many kinds
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise ValueError(
                f"An image must be a picture that Pillow can read ({reason}). "
                f"Received: --image {path}"
            ) from error
    return np.stack(images)
