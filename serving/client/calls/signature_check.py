"""Compare a request with the signatures of a model."""

from __future__ import annotations

from collections.abc import Iterable

from fovea.serving.client.results import ModelMetadata
from fovea.serving.protocol import wire_pb2
from fovea.serving.protocol.dtypes import type_name


def find_mismatch(
    request: wire_pb2.PredictRequest | wire_pb2.ClassificationRequest,
    metadata: ModelMetadata,
) -> str:
    """Compare the names, types and shapes of a request with its signature.

    Args:
        request: The request; of a classification only the signature's name is compared.
        metadata: The metadata of the model.

    Returns:
        The first difference as a sentence; "" if the request fits.
    """
    name = request.model_spec.signature_name or "serving_default"
    signature = metadata.signatures.get(name)
    if signature is None:
        return f"Its signatures: {_list(metadata.signatures)}. Received: {name!r}."
    if isinstance(request, wire_pb2.ClassificationRequest):
        return ""
    given, expected = set(request.inputs), set(signature.inputs)
    # Inputs with a default value may be missing, and metadata does not mark them: only
    # names that the signature lacks are wrong for certain.
    if given - expected or (not given and expected):
        return (
            f"Its signature {name!r} takes {_list(expected)}. "
            f"Received: {_list(given) or 'no inputs'}."
        )
    for key in sorted(given):
        tensor, spec = request.inputs[key], signature.inputs[key]
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        if type_name(tensor.dtype) != spec.dtype or not _fits(shape, spec.shape):
            return (
                f"Input {key!r} of its signature {name!r} is {spec.dtype} "
                f"{spec.shape_text}. Received: {type_name(tensor.dtype)} {shape}."
            )
    unknown = set(request.output_filter) - set(signature.outputs)
    if unknown:
        return (
            f"Its signature {name!r} returns {_list(signature.outputs)}. "
            f"Received: output_filter={_list(unknown)}."
        )
    return ""


def _fits(shape: list[int], expected: tuple[int | None, ...] | None) -> bool:
    if expected is None:
        return True
    return len(shape) == len(expected) and all(
        size is None or size == given
        for given, size in zip(shape, expected, strict=True)
    )


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
