"""A Classify or Regress request in JSON: ``examples``, and a ``context`` they share."""

from __future__ import annotations

from typing import Any

from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import input_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.rest.base64_objects import decode, is_base64
from fovea.serving.server.rest.dense import is_lossless, json_type, lossy
from fovea.serving.server.rest.pretty import value_text

MAX_INT64 = 2**63 - 1
_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def fill_input(document: dict[str, Any], target: input_pb2.Input) -> None:
    """Write the examples of a request into the input of a Classify or Regress request.

    Args:
        document: The request.
        target: The empty message to fill.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    has_context = "context" in document
    if has_context:
        shared = target.example_list_with_context
        _fill_example(document["context"], shared.context)
    examples = document.get("examples")
    wrong = ""
    if "examples" not in document:
        wrong = "When method is classify, key 'examples' is expected and was not found"
    elif not isinstance(examples, list):
        wrong = "Expecting 'examples' value to be an list/array"
    elif not examples:
        wrong = "'examples' value is an empty array"
    if wrong:
        raise invalid_argument(f"JSON Value: {value_text(document)} {wrong}")
    assert isinstance(examples, list)
    for example in examples:
        if has_context:
            _fill_example(example, target.example_list_with_context.examples.add())
        else:
            _fill_example(example, target.example_list.examples.add())


def _fill_example(value: Any, example: example_pb2.Example) -> None:
    if not isinstance(value, dict):
        raise invalid_argument(
            f"Example must be JSON object but got JSON {json_type(value)}"
        )
    example.SetInParent()
    for name, content in value.items():
        feature = feature_pb2.Feature()
        for element in content if isinstance(content, list) else [content]:
            _add(element, name, feature)
        example.features.feature[to_text(name)].CopyFrom(feature)


def to_text(name: str) -> str:
    """A name that a protobuf can hold: without bytes that are no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _add(value: Any, name: str, feature: feature_pb2.Feature) -> None:
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
        _list(feature, "bytes_list", name).append(raw)
    elif is_base64(value):
        _list(feature, "bytes_list", name).append(decode(value))
    elif isinstance(value, bool):
        _list(feature, "int64_list", name).append(int(value))
    elif isinstance(value, float):
        values = _list(feature, "float_list", name)
        if not is_lossless(value, types_pb2.DT_FLOAT):
            raise lossy(value, types_pb2.DT_FLOAT)
        values.append(value)
    elif isinstance(value, int):
        values = _list(feature, "int64_list", name)
        if value > MAX_INT64:
            raise invalid_argument(
                f"Feature: {name} has uint64 element. Only int64 is supported."
            )
        values.append(value)
    else:
        raise invalid_argument(
            f"Feature: {name} has element with unexpected JSON type: {json_type(value)}"
        )


def _list(feature: feature_pb2.Feature, kind: str, name: str) -> Any:
    """The values of a feature, which are all of one kind."""
    before = feature.WhichOneof("kind")
    if before not in (None, kind):
        raise _mixed(name, before)
    return getattr(feature, kind).value


def _mixed(name: str, kind: str) -> ServingError:
    return invalid_argument(
        f"Unexpected element type in feature: {name} expecting type: {_KINDS[kind]}"
    )
