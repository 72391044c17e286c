"""Why a model answers as it does: images -> answers with heat maps.

A model tells it that was exported with `fovea export --with-explain`. The gradient is
computed on the server, inside the model's graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fovea.serving.client.answers import PredictResult
from fovea.serving.client.calls.requests import MAX_REQUEST_BYTES, item_name
from fovea.serving.client.errors import ClientError, InvalidRequest

if TYPE_CHECKING:
    import numpy as np

    from fovea.serving.client.client import Client
    from fovea.serving.client.images import ImageSource

# Forwards and backwards takes a server about three times as long as an answer.
BATCH_SIZE = 16
OUTPUTS = ("probabilities", "class_id", "label", "heatmap")


@dataclass(frozen=True)
class Explanation:
    """An answer about one image, and what in the image speaks for it.

    Attributes:
        label: name of the most probable class.
        class_id: its index, 0..K-1.
        probability: its probability, 0..1.
        heatmap: float32 [H, W] in the size that the model takes, 0..1; it covers the
            whole image, whatever the image's own size.
        model_version: the version that answered.
    """

    label: str
    class_id: int
    probability: float
    heatmap: np.ndarray
    model_version: int


def explain_images(
    client: Client,
    images: np.ndarray | Sequence[ImageSource],
    *,
    model: str,
    version: int | None = None,
    label: str | None = None,
) -> list[Explanation]:
    """Ask a model about images, and what in them speaks for its answers.

    Args:
        client: where to ask.
        images: a uint8 array of shape [N, H, W, C] in the size and number of channels
            that the model was trained with; or a sequence of images of any size and
            mode: paths, bytes of image files, Pillow images, or uint8 arrays of
            shape [H, W] or [H, W, C].
        model: name of the model.
        version: the version to ask; the newest that is ready if None.
        label: a version label to ask instead.

    Returns:
        one Explanation an image, in the order of `images`.

    Raises:
        BadImage: if an image cannot be sent; nothing has been asked then.
        ClientError: one of its other subclasses says what went wrong, InvalidRequest
            if the model was exported without explanations.
    """
    signature, name, values = _sent(images)
    explanations: list[Explanation] = []
    for part in _batches(values):
        try:
            result = client.predict(
                {name: part},
                model=model,
                version=version,
                label=label,
                signature=signature,
            )
        except InvalidRequest as error:
            _check(client, signature, error, model=model, version=version, label=label)
            raise
        explanations += _explanations(result, len(part), model)
    return explanations


def _sent(images: Any) -> tuple[str, str, Any]:
    """How images travel: signature, name of its input, and its values."""
    if getattr(images, "ndim", None) == 4:
        return "explain", "images", images
    from fovea.serving.client.images import encode_image

    encoded = [
        encode_image(image, name=item_name(image, index))
        for index, image in enumerate(images)
    ]
    return "explain_encoded", "image_bytes", encoded


def _batches(values: Any) -> Iterator[Any]:
    """Cut images into what a request carries; a single one may be larger."""
    start = total = 0
    for place, value in enumerate(values):
        size = len(value) if isinstance(value, bytes) else value.nbytes
        full = place - start == BATCH_SIZE or total + size > MAX_REQUEST_BYTES
        if place > start and full:
            yield values[start:place]
            start, total = place, 0
        total += size
    if len(values):
        yield values[start:]


def _check(
    client: Client, signature: str, error: InvalidRequest, *, model: str, **which: Any
) -> None:
    """Raise a better error if it is the signature that the model does not have."""
    if signature not in client.metadata(model, **which).signatures:
        raise InvalidRequest(
            f"Model {model!r} was exported without explanations: it has no signature "
            f"{signature!r}. Export it again with `fovea export RUN --to DIR "
            "--with-explain`.",
            code=error.code,
            details=error.details,
        ) from error


def _explanations(
    result: PredictResult, count: int, model: str
) -> Iterator[Explanation]:
    outputs = result.outputs
    if any(len(outputs.get(name, ())) != count for name in OUTPUTS):
        raise ClientError(
            f"Model {model!r} does not explain itself as one exported with `fovea "
            f"export --with-explain`, whose outputs are {', '.join(OUTPUTS)} with "
            f"N={count} rows. Received: {', '.join(sorted(outputs)) or 'no outputs'}"
        )
    for probabilities, class_id, name, heatmap in zip(
        *(outputs[key] for key in OUTPUTS), strict=True
    ):
        yield Explanation(
            name.decode("utf-8", "replace"),
            int(class_id),
            float(probabilities[class_id]),
            heatmap,
            result.model_version,
        )
