"""Files in protobuf's text format, such as TensorFlow Serving's config files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from google.protobuf.message import Message

from fovea.serving.server.errors import ServingError, invalid_argument

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
}


def read_text_proto(path: str, message: M) -> M:
    """Read a file into a message.

    Args:
        path: The file.
        message: An empty message of the type that the file holds.

    Returns:
        The same message.

    Raises:
        ServingError: NOT_FOUND if there is no such file, PERMISSION_DENIED or
            FAILED_PRECONDITION if it cannot be read, INVALID_ARGUMENT if it cannot be
            parsed; the log then names the line.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        code = grpc.StatusCode.FAILED_PRECONDITION
        if isinstance(error, FileNotFoundError):
            code = grpc.StatusCode.NOT_FOUND
        elif isinstance(error, PermissionError):
            code = grpc.StatusCode.PERMISSION_DENIED
        raise ServingError(code, f"{path}; {error.strerror}") from None
    try:
        text_format.Parse(text, message)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        log.error(
            "Error parsing text-format %s: %s",
            message.DESCRIPTOR.full_name,
            str(error).replace(" : ", ": ", 1),
        )
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from None
    return message


def message_type(name: str, fields: Mapping[str, Any]) -> Any:
    """Make a message type that the official stubs lack, in a pool of its own.

    For the text format only: the field numbers are not TensorFlow Serving's.

    Args:
        name: The short name; the package is `tensorflow.serving`.
        fields: Types by field name: `bool`, `int64` or `string`, optionally after
            `repeated`, or one of protobuf's wrappers, such as `Int64Value`; or the
            fields of a nested message.

    Returns:
        The message class.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{name}.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name=name)
    _add_fields(message, f".tensorflow.serving.{name}", fields)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"tensorflow.serving.{name}")
    return message_factory.GetMessageClass(descriptor)


def _add_fields(
    message: descriptor_pb2.DescriptorProto, full_name: str, fields: Mapping[str, Any]
) -> None:
    for number, (field_name, kind) in enumerate(fields.items(), start=1):
        field = message.field.add(name=field_name, number=number)
        field.label = _Field.LABEL_OPTIONAL
        if isinstance(kind, Mapping):
            inner = message.nested_type.add(name=f"{field_name}_type")
            field.type = _Field.TYPE_MESSAGE
            field.type_name = f"{full_name}.{inner.name}"
            _add_fields(inner, field.type_name, kind)
            continue
        *repeated, kind = kind.split()
        if repeated:
            field.label = _Field.LABEL_REPEATED
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type = _Field.TYPE_MESSAGE
            field.type_name = f".google.protobuf.{kind}"
