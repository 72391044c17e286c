"""Status and metadata as JSON: protobufs in the C++ library's layout.

Python's `json_format` writes the same values, but defaults come last.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import descriptor, json_format, message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from fovea.serving.server.inference.model_metadata import SIGNATURE_DEF

# The C++ library escapes these, so that the text can stand in an HTML page.
_ESCAPED = {ord("<"): "\\u003c", ord(">"): "\\u003e", 0x7F: "\\u007f"}


def status(response: get_model_status_pb2.GetModelStatusResponse) -> bytes:
    """Return the body of `GET /v1/models/NAME`."""
    return _text(response).encode()


def metadata(response: get_model_metadata_pb2.GetModelMetadataResponse) -> bytes:
    """Return the body of `GET /v1/models/NAME/metadata`, two protobufs in one."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    return (
        f'{{\n"model_spec":{_text(response.model_spec)},\n'
        f'"metadata": {{"signature_def": {_text(signatures)}}}\n}}\n'
    ).encode()


def _text(proto: message.Message) -> str:
    fields = json_format.MessageToDict(
        proto,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    ordered = _in_order(fields, proto.DESCRIPTOR)
    text = json.dumps(ordered, ensure_ascii=False, indent=1)
    return text.translate(_ESCAPED) + "\n"


def _in_order(fields: Any, message_type: descriptor.Descriptor) -> Any:
    """Put fields, and the fields of messages inside them, in the order of the proto."""
    if not isinstance(fields, dict):  # a wrapper such as Int64Value
        return fields
    return {
        field.name: _ordered_value(fields[field.name], field)
        for field in message_type.fields
        if field.name in fields
    }


def _ordered_value(value: Any, field: descriptor.FieldDescriptor) -> Any:
    inner = field.message_type
    if inner is None:
        return value
    if inner.GetOptions().map_entry:
        values = inner.fields_by_name["value"].message_type
        if values is None:
            return value
        return {key: _in_order(entry, values) for key, entry in value.items()}
    if isinstance(value, list):
        return [_in_order(entry, inner) for entry in value]
    return _in_order(value, inner)
