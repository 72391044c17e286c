"""The properties of a served model that the page needs: size, classes, signatures."""

from __future__ import annotations

from dataclasses import dataclass

from fovea.serving.client.errors import InvalidRequest
from fovea.serving.client.results import ModelMetadata


@dataclass(frozen=True)
class Servable:
    """A version of an image classifier.

    Attributes:
        name: Name of the model.
        version: Number of the version.
        shape: Height, width and channels of its input.
        labels: Names of its classes by class id; empty if it does not report them.
        signatures: Names of its signatures.
    """

    name: str
    version: int
    shape: tuple[int, int, int]
    labels: tuple[str, ...]
    signatures: frozenset[str]

    @property
    def grey(self) -> bool:
        """Whether its input has one channel, so that drawings fit."""
        return self.shape[2] == 1

    def first_of(self, *signatures: str) -> str | None:
        """Return the first of these signatures that the model has, None without any."""
        return next((each for each in signatures if each in self.signatures), None)


def picture_shape(metadata: ModelMetadata) -> tuple[int, int, int]:
    """Return the height, width and channels of the images that a model takes.

    Raises:
        InvalidRequest: If it is not a classifier as `fovea export` writes it.
    """
    signature = metadata.signatures.get("serving_default")
    images = signature.inputs.get("images") if signature else None
    if images is not None and images.dtype == "uint8" and images.shape is not None:
        match images.shape:
            case (_, int(height), int(width), int(channels)) if channels in (1, 3):
                return height, width, channels
    received = (
        "no such input" if images is None else f"{images.dtype} {images.shape_text}"
    )
    raise InvalidRequest(
        f"Model {metadata.name!r} does not take images as `fovea export` writes it: "
        "its signature serving_default must have an input `images`, uint8 "
        f"[N, height, width, 1 or 3]. Received: {received}"
    )
