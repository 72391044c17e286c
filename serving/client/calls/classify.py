"""Operations that call TensorFlow Serving's Classify with examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fovea.serving.client.calls.effects import CLASSIFY, Operation, call
from fovea.serving.client.calls.model_info import ModelCache
from fovea.serving.client.calls.request_validation import add_reason
from fovea.serving.client.calls.requests import is_one_image, item_name, split
from fovea.serving.client.errors import BadImage, ClientError
from fovea.serving.client.results import Classification
from fovea.serving.protocol import wire_pb2


def to_example(source: Any, name: str | None = None) -> wire_pb2.Example:
    """Convert features or an image to a tf.Example.

    Args:
        source: Features by name, each a str, bytes, int, float or bool, or a sequence
            or array of one of these types; or an image, which becomes the feature
            `image/encoded`.
        name: What errors call the example.

    Returns:
        The message that Classify takes.

    Raises:
        BadImage: If it is an image that cannot be sent.
        TypeError: If a feature has a type that an example cannot hold.
    """
    if isinstance(source, wire_pb2.Example):
        return source
    if not isinstance(source, Mapping):
        from fovea.serving.client.images import encode_image

        try:
            source = {"image/encoded": encode_image(source, name=name)}
        except BadImage as error:
            error.item = name
            raise
    example = wire_pb2.Example()
    for key, values in source.items():
        _fill(example.features.feature[key], key, values)
    return example


def _fill(feature: wire_pb2.Feature, name: str, values: Any) -> None:
    if hasattr(values, "ravel"):  # an array, or a NumPy scalar
        values = values.ravel().tolist()
    if isinstance(values, str | bytes | int | float):
        values = [values]
    # Numbers may be NumPy scalars
    values = [each.item() if hasattr(each, "item") else each for each in values]
    if all(isinstance(value, str | bytes) for value in values):
        feature.bytes_list.value.extend(
            value.encode() if isinstance(value, str) else value for value in values
        )
    elif all(isinstance(value, int) for value in values):  # bool included
        feature.int64_list.value.extend(map(int, values))
    elif all(isinstance(value, int | float) for value in values):
        feature.float_list.value.extend(map(float, values))
    else:
        raise TypeError(
            "A feature holds strings, integers or floats, not several of them. "
            f"Received: {name}={values!r:.100}"
        )


def classify_operations(
    cache: ModelCache,
    spec: wire_pb2.ModelSpec,
    examples: Iterable[Any],
    context: Any,
    batch_size: int,
) -> Iterator[Operation[list[Classification]]]:
    """Convert examples to operations, one for each batch, as they are needed.

    Args:
        cache: The cache of the client.
        spec: The model, its version and the signature.
        examples: Features by name, or images; read only as far as needed.
        context: Features that all examples share, or None.
        batch_size: The most examples in a request.

    Returns:
        Operations with a result for each example of their batch.

    Raises:
        ValueError: If there is a single example only, or `batch_size` is below 1.
    """
    if isinstance(examples, Mapping) or is_one_image(examples):
        raise ValueError(
            "classify takes a sequence of examples or images, not a single one. "
            f"Received: {type(examples).__name__}"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size is at least 1. Received: batch_size={batch_size}")
    request = wire_pb2.ClassificationRequest(model_spec=spec)
    if context is not None:
        shared = request.input.example_list_with_context.context
        shared.CopyFrom(to_example(context))
    converted = (
        to_example(example, item_name(example, index, "examples"))
        for index, example in enumerate(examples)
    )
    batches = split(converted, wire_pb2.Example.ByteSize, batch_size)
    return (_classify(cache, request, batch) for batch in batches)


def _classify(
    cache: ModelCache,
    shared: wire_pb2.ClassificationRequest,
    examples: list[wire_pb2.Example],
) -> Operation[list[Classification]]:
    request = wire_pb2.ClassificationRequest()
    request.CopyFrom(shared)
    kind = request.input.WhichOneof("kind") or "example_list"
    getattr(request.input, kind).examples.extend(examples)
    spec = request.model_spec
    try:
        response = yield from call(CLASSIFY, request)
    except ClientError as error:
        raise (yield from add_reason(cache, error, request)) from None
    version = response.model_spec.version.value
    cache.note_version(spec, version)
    results = response.result.classifications
    if len(results) != len(examples):
        raise ClientError(
            f"Model {spec.name!r} sent a response that cannot be read: "
            f"{len(results)} results for {len(examples)} examples."
        )
    return [
        Classification(
            tuple((each.label, each.score) for each in result.classes), version
        )
        for result in results
    ]
