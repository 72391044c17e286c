"""A Classify or Regress request in JSON: `examples`, and a `context` they share."""

from __future__ import annotations

from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.rest.encoding.base64_objects import decode, is_base64
from fovea.serving.server.rest.encoding.dense import json_type
from fovea.serving.server.rest.encoding.pretty import value_text

MAX_INT64 = 2**63 - 1
_TYPE_NAMES = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def serialized_examples(document: dict[str, Any]) -> np.ndarray:
    """Convert the examples of a request to serialized tf.Examples.

    A context is put before each of them: concatenated messages are merged when they are
    parsed, and a feature that the example has itself overrides the context's.

    Args:
        document: The request.

    Returns:
        `bytes` in an object array of rank 1, at least one.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    context = _serialized(document["context"]) if "context" in document else b""
    examples = document.get("examples")
    mistake = ""
    if "examples" not in document:
        mistake = (
            "When method is classify, key 'examples' is expected and was not found"
        )
    elif not isinstance(examples, list):
        mistake = "Expecting 'examples' value to be an list/array"
    elif not examples:
        mistake = "'examples' value is an empty array"
    if mistake:
        raise invalid_argument(f"JSON Value: {value_text(document)} {mistake}")
    assert isinstance(examples, list)
    return np.array([context + _serialized(example) for example in examples], object)


def _serialized(value: Any) -> bytes:
    if not isinstance(value, dict):
        raise invalid_argument(
            f"Example must be JSON object but got JSON {json_type(value)}"
        )
    example = example_pb2.Example()
    for name, content in value.items():
        feature = feature_pb2.Feature()
        for element in content if isinstance(content, list) else [content]:
            _append(feature, element, name)
        example.features.feature[to_text(name)].CopyFrom(feature)
    return example.SerializeToString()


def to_text(name: str) -> str:
    """Return a name that a protobuf can hold: invalid UTF-8 replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _append(feature: feature_pb2.Feature, value: Any, name: str) -> None:
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
        _values(feature, "bytes_list", name).append(raw)
    elif is_base64(value):
        _values(feature, "bytes_list", name).append(decode(value))
    elif isinstance(value, bool):
        _values(feature, "int64_list", name).append(int(value))
    elif isinstance(value, float):
        _values(feature, "float_list", name).append(value)
    elif isinstance(value, int):
        values = _values(feature, "int64_list", name)
        if value > MAX_INT64:
            raise invalid_argument(
                f"Feature: {name} has uint64_t element. Only int64_t is supported."
            )
        values.append(value)
    else:
        raise invalid_argument(
            f"Feature: {name} has element with unexpected JSON type: {json_type(value)}"
        )


def _values(feature: feature_pb2.Feature, field: str, name: str) -> Any:
    """Return the values of a feature, which are all of one type.

    Raises:
        ServingError: It has values of another type.
    """
    present = feature.WhichOneof("kind")
    if present not in (None, field):
        raise _mixed(name, present)
    return getattr(feature, field).value


def _mixed(name: str, field: str) -> ServingError:
    return invalid_argument(
        f"Unexpected element type in feature: {name} expecting type: "
        f"{_TYPE_NAMES[field]}"
    )
