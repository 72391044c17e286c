"""What a served model is, as far as the page must know: size, classes, signatures."""

from __future__ import annotations

from dataclasses import dataclass

from fovea.serving.client.results import ModelMetadata
from fovea.serving.client.errors import InvalidRequest


@dataclass(frozen=True)
class Servable:
    """One version of a model that answers about pictures.

    Attributes:
        name: the model's name.
        version: its version.
        shape: (height, width, channels) of the pictures that it takes.
        labels: names of its classes, by class id; empty if it does not tell them.
        signatures: names of the questions that it answers.
    """

    name: str
    version: int
    shape: tuple[int, int, int]
    labels: tuple[str, ...]
    signatures: frozenset[str]

    @property
    def grey(self) -> bool:
        """Whether it takes pictures without colour, on which one can draw."""
        return self.shape[2] == 1

    def first_of(self, *signatures: str) -> str | None:
        """Return the first of these that the model has, None if it has none."""
        return next((each for each in signatures if each in self.signatures), None)


def picture_shape(metadata: ModelMetadata) -> tuple[int, int, int]:
    """Return (height, width, channels) of the pictures that a model takes.

    Raises:
        InvalidRequest: if it is no classifier of pictures as `fovea export` writes.
    """
    signature = metadata.signatures.get("serving_default")
    images = signature.inputs.get("images") if signature else None
    if images is not None and images.dtype == "uint8" and images.shape is not None:
        match images.shape:
            case (_, int(height), int(width), int(channels)) if channels in (1, 3):
                return height, width, channels
    received = (
        "no such input" if images is None else f"{images.dtype} {images.shape or ''}"
    )
    raise InvalidRequest(
        f"Model {metadata.name!r} does not take pictures as `fovea export` writes it: "
        "its signature serving_default must have an input `images`, uint8 "
        f"[N, height, width, 1 or 3]. Received: {received.strip()}"
    )
