"""Classify as gRPC encodes it."""

from __future__ import annotations

from tensorflow_serving.apis import classification_pb2

from fovea.serving.server.inference.classification import (
    Classifications,
    classify_examples,
)
from fovea.serving.server.inference.examples import measured, serialized_examples
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import fill_spec, signature_name


def classify(
    model: LoadedModel,
    version: int,
    request: classification_pb2.ClassificationRequest,
    timeout: float | None = None,
) -> classification_pb2.ClassificationResponse:
    """Return the response to a Classify request.

    Args:
        model: The loaded model.
        version: Its version, for the response.
        request: The client's request.
        timeout: Seconds until the client's deadline; None for none.

    Raises:
        ServingError: The request or the signature is unsuitable, or the graph failed.
    """
    spec = request.model_spec
    examples = serialized_examples(request.input)
    timer = measured("Classify", spec.name, examples)
    found = classify_examples(model, signature_name(spec), examples, timeout, timer)
    response = classification_pb2.ClassificationResponse()
    fill_spec(response.model_spec, spec, version)
    fill_classifications(response.result, found)
    return response


def fill_classifications(
    result: classification_pb2.ClassificationResult, found: Classifications
) -> None:
    """Write classifications into an empty message."""
    for row in found.rows():
        entries = result.classifications.add().classes
        for label, score in row:
            entries.add(label=label, score=score)
