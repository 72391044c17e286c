"""Request the predictions of images with heat maps of the evidence for them.

The model must be exported with `fovea export --with-explain`. The server computes the
gradients, inside the model's graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fovea.serving.client.calls.requests import MAX_REQUEST_BYTES, item_name
from fovea.serving.client.errors import ClientError, InvalidRequest
from fovea.serving.client.results import PredictResult

if TYPE_CHECKING:
    import numpy as np

    from fovea.serving.client.client import Client
    from fovea.serving.client.images import ImageSource

# Forward and backward passes take about three times as long as a prediction.
BATCH_SIZE = 16
OUTPUTS = ("probabilities", "class_id", "label", "heatmap")


@dataclass(frozen=True)
class Explanation:
    """The prediction of one image with the evidence for it.

    Attributes:
        label: Name of the most probable class.
        class_id: Its index, 0..K-1.
        probability: Its probability, 0..1.
        heatmap: Evidence for the class, float32 [H, W] with values 0..1 in the input
            size of the model; it covers the whole image, whatever the image's size.
        model_version: Version of the model that computed them.
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
    """Classify images, with a heat map of the evidence for each class.

    Args:
        client: The client that sends the requests.
        images: A uint8 array of shape [N, H, W, C] in the size and number of channels
            that the model was trained with; or a sequence of images of any size and
            mode: paths, bytes of image files, Pillow images, or uint8 arrays of
            shape [H, W] or [H, W, C].
        model: Name of the model.
        version: Version to call; the newest that is ready if None.
        label: Version label to call instead.

    Returns:
        An Explanation for each image, in order.

    Raises:
        BadImage: If an image cannot be sent; no request has been sent then.
        ClientError: If a request fails; its subclass is the reason. It is
            InvalidRequest if the model was exported without explanations.
    """
    signature, name, values = _encoded(images)
    explanations: list[Explanation] = []
    for batch in _batches(values):
        try:
            result = client.predict(
                {name: batch},
                model=model,
                version=version,
                label=label,
                signature=signature,
            )
        except InvalidRequest as error:
            _check_signature(
                client, signature, error, model=model, version=version, label=label
            )
            raise
        explanations += _explanations(result, len(batch), model)
    return explanations


def _encoded(images: Any) -> tuple[str, str, Any]:
    """Return the signature for the images, the name of its input, and its values."""
    if getattr(images, "ndim", None) == 4:
        return "explain", "images", images
    from fovea.serving.client.images import encode_image

    encoded = [
        encode_image(image, name=item_name(image, index))
        for index, image in enumerate(images)
    ]
    return "explain_encoded", "image_bytes", encoded


def _batches(values: Any) -> Iterator[Any]:
    """Split images into batches for single requests, which a large one may exceed."""
    start = total = 0
    for index, value in enumerate(values):
        size = len(value) if isinstance(value, bytes) else value.nbytes
        full = index - start == BATCH_SIZE or total + size > MAX_REQUEST_BYTES
        if index > start and full:
            yield values[start:index]
            start, total = index, 0
        total += size
    if len(values):
        yield values[start:]


def _check_signature(
    client: Client,
    signature: str,
    error: InvalidRequest,
    *,
    model: str,
    version: int | None,
    label: str | None,
) -> None:
    """Raise a clearer error if the model does not have the signature."""
    metadata = client.metadata(model, version=version, label=label)
    if signature not in metadata.signatures:
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
            f"Model {model!r} does not return explanations as one exported with `fovea "
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
