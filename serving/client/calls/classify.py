"""Examples -> requests of TF Serving's Classify, and its answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fovea.serving.client.answers import Classification
from fovea.serving.client.calls.effects import CLASSIFY, Steps, ask
from fovea.serving.client.calls.model_info import Known
from fovea.serving.client.calls.request_validation import explained
from fovea.serving.client.calls.requests import cut, is_one_image, item_name
from fovea.serving.client.errors import BadImage, ClientError
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
    # numbers of NumPy, one by one
    values = [each.item() if hasattr(each, "item") else each for each in values]
    if all(isinstance(value, str | bytes) for value in values):
        feature.bytes_list.value.extend(
            value.encode() if isinstance(value, str) else value for value in values
        )
    elif all(isinstance(value, int) for value in values):  # bool among them
        feature.int64_list.value.extend(map(int, values))
    elif all(isinstance(value, int | float) for value in values):
        feature.float_list.value.extend(map(float, values))
    else:
        raise TypeError(
            "A feature holds strings, integers or floats, not several of them. "
            f"Received: {name}={values!r:.100}"
        )


def classify_parts(
    known: Known,
    spec: wire_pb2.ModelSpec,
    examples: Iterable[Any],
    context: Any,
    batch_size: int,
) -> Iterator[Steps[list[Classification]]]:
    """Examples -> questions of a sensible size to TF Serving's Classify.

    Args:
        known: the client's.
        spec: the model and its signature.
        examples, context, batch_size: as Client.classify has them.

    Raises:
        ValueError: if there is a single example only, or `batch_size` is below 1.
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
    parts = cut(converted, wire_pb2.Example.ByteSize, batch_size)
    return (_classify(known, request, part) for part in parts)


def _classify(
    known: Known,
    shared: wire_pb2.ClassificationRequest,
    examples: list[wire_pb2.Example],
) -> Steps[list[Classification]]:
    request = wire_pb2.ClassificationRequest()
    request.CopyFrom(shared)
    kind = request.input.WhichOneof("kind") or "example_list"
    getattr(request.input, kind).examples.extend(examples)
    spec = request.model_spec
    try:
        response = yield from ask(CLASSIFY, request)
    except ClientError as error:
        raise (yield from explained(known, error, request)) from None
    version = response.model_spec.version.value
    known.answered_by(spec, version)
    results = response.result.classifications
    if len(results) != len(examples):
        raise ClientError(
            f"Model {spec.name!r} sent an answer that cannot be read: "
            f"{len(results)} results for {len(examples)} examples."
        )
    return [
        Classification(
            tuple((each.label, each.score) for each in result.classes), version
        )
        for result in results
    ]
