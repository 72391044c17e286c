"""A request and what a model says of itself -> where they disagree."""

from __future__ import annotations

from collections.abc import Iterable

from fovea.serving.client.answers import ModelMetadata, TensorSpec
from fovea.serving.protocol import wire_pb2
from fovea.serving.protocol.dtypes import type_name


def mismatch(
    request: wire_pb2.PredictRequest | wire_pb2.ClassificationRequest,
    metadata: ModelMetadata,
) -> str:
    """Compare names, types and shapes; of a classification the signature only.

    Returns:
        one sentence; "" if the request fits.
    """
    name = request.model_spec.signature_name or "serving_default"
    signature = metadata.signatures.get(name)
    if signature is None:
        return f"Its signatures: {_list(metadata.signatures)}. Received: {name!r}."
    if isinstance(request, wire_pb2.ClassificationRequest):
        return ""
    given, wanted = set(request.inputs), set(signature.inputs)
    # An input with a default value may be left out, and metadata does not tell which
    # have one: only names that the signature lacks are wrong for certain.
    if given - wanted or (not given and wanted):
        return (
            f"Its signature {name!r} takes {_list(wanted)}. "
            f"Received: {_list(given) or 'no inputs'}."
        )
    for key in sorted(given):
        tensor, spec = request.inputs[key], signature.inputs[key]
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        if type_name(tensor.dtype) != spec.dtype or not _fits(shape, spec.shape):
            return (
                f"Input {key!r} of its signature {name!r} is {spec.dtype} "
                f"{_shape(spec)}. Received: {type_name(tensor.dtype)} {shape}."
            )
    unknown = set(request.output_filter) - set(signature.outputs)
    if unknown:
        return (
            f"Its signature {name!r} returns {_list(signature.outputs)}. "
            f"Received: output_filter={_list(unknown)}."
        )
    return ""


def _fits(shape: list[int], wanted: tuple[int | None, ...] | None) -> bool:
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(
        size is None or size == have for have, size in zip(shape, wanted, strict=True)
    )


def _shape(spec: TensorSpec) -> str:
    if spec.shape is None:
        return "of any shape"
    return f"[{', '.join('?' if n is None else str(n) for n in spec.shape)}]"


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
