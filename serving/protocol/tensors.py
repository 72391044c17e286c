"""Conversion between NumPy arrays and TensorProto messages, without TensorFlow.

Types that NumPy lacks (bfloat16, float8, float4, int4, ...) are those of the package
`ml_dtypes` if it is installed. Otherwise they become arrays of their raw bits, uint16
for bfloat16 and uint8 for the smaller ones.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from fovea.serving.protocol import wire_pb2
from fovea.serving.protocol.dtypes import NUMBERS, VALUE_FIELDS, type_name

_DT_STRING = wire_pb2.DataType.Value("DT_STRING")

# A quantised value becomes the integer that it is stored as.
_QUANTISED = {
    "qint8": "int8",
    "quint8": "uint8",
    "qint16": "int16",
    "quint16": "uint16",
    "qint32": "int32",
}
_SENDABLE = (
    "bool, (u)int8, (u)int16, (u)int32, (u)int64, float16, float32, float64, "
    "complex64, complex128, str, bytes"
)


def array_to_tensor(values: Any) -> wire_pb2.TensorProto:
    """Return values as a tensor message.

    Args:
        values: An array of any shape, or anything that `numpy.asarray` takes: Python
            integers become int64, floats float64. Text and bytes become a string
            tensor; text is encoded as UTF-8.

    Returns:
        The tensor; numbers are stored in `tensor_content`.

    Raises:
        TypeError: If TensorFlow has no such type.
    """
    # Text as objects: NumPy's own type S drops zero bytes at the end, and the bytes
    # of an image may end in some.
    array = np.asarray(values, dtype=object if _is_text(values) else None)
    tensor = wire_pb2.TensorProto()
    tensor.tensor_shape.SetInParent()  # present even if a scalar, as TensorFlow does
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype.kind in "OSUT":
        tensor.dtype = _DT_STRING
        tensor.string_val.extend(_to_bytes(value) for value in array.ravel().tolist())
        return tensor
    number = NUMBERS.get(array.dtype.name)
    if number is None:
        raise TypeError(f"A tensor holds {_SENDABLE}. Received: dtype={array.dtype}")
    tensor.dtype = cast(wire_pb2.DataType, number)
    little_endian = array.dtype.newbyteorder("<")
    tensor.tensor_content = array.astype(little_endian, copy=False).tobytes()
    return tensor


def tensor_to_array(tensor: wire_pb2.TensorProto) -> np.ndarray:
    """Return the values of a tensor message.

    Args:
        tensor: The message, with its values in `tensor_content` or in the field of its
            type. As in TensorFlow, a field shorter than the shape repeats its last
            value, and an empty one means zeros (empty strings).

    Returns:
        A writable array of the tensor's shape. Strings become bytes in an object
        array, quantised numbers their integers.

    Raises:
        ValueError: If the tensor contradicts itself or has a type that has no meaning
            outside a graph (resource, variant).
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError(f"A tensor's shape must be known. Received: shape={shape}")
    count = math.prod(shape)
    if tensor.dtype == _DT_STRING:
        flat = np.empty(count, dtype=object)
        flat[:] = _fill(list(tensor.string_val), count, b"")
        return flat.reshape(shape)
    dtype = _numpy_dtype(tensor.dtype)
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * dtype.itemsize:
            raise ValueError(
                f"A {dtype} tensor of shape {shape} has {count * dtype.itemsize} "
                f"bytes. Received: {len(tensor.tensor_content)} bytes"
            )
        little_endian = np.frombuffer(tensor.tensor_content, dtype.newbyteorder("<"))
        return little_endian.astype(dtype).reshape(shape)  # a copy, so writable
    return _from_values(tensor, dtype, count).reshape(shape)


def _from_values(
    tensor: wire_pb2.TensorProto, dtype: np.dtype, count: int
) -> np.ndarray:
    field = VALUE_FIELDS.get(tensor.dtype)
    if field is None:
        values = np.empty(0, dtype)
    elif field == "half_val":
        values = np.array(tensor.half_val, dtype=np.uint16).view(dtype)
    elif field == "float8_val":
        values = np.frombuffer(tensor.float8_val, dtype)
    elif field in ("scomplex_val", "dcomplex_val"):
        part = np.float32 if field == "scomplex_val" else np.float64
        values = np.array(getattr(tensor, field), dtype=part).view(dtype)
    else:
        values = np.array(getattr(tensor, field)).astype(dtype)
    flat = np.zeros(count, dtype)
    if len(values) > count:
        raise ValueError(
            f"A tensor of {count} values cannot hold {len(values)}. "
            f"Received: {len(values)} values in {field}"
        )
    flat[: len(values)] = values
    if 0 < len(values) < count:
        flat[len(values) :] = values[-1]
    return flat


def _fill(values: list[bytes], count: int, default: bytes) -> list[bytes]:
    if len(values) > count:
        raise ValueError(
            f"A tensor of {count} values cannot hold {len(values)}. "
            f"Received: {len(values)} strings"
        )
    last = values[-1] if values else default
    return values + [last] * (count - len(values))


def _numpy_dtype(number: int) -> np.dtype:
    name = type_name(number)
    name = _QUANTISED.get(name, name)
    if number in VALUE_FIELDS or name == "float4_e2m1fn":
        try:
            return np.dtype(name)
        except TypeError:  # not one of NumPy's own, unless ml_dtypes registered it
            pass
        try:
            import ml_dtypes

            return np.dtype(getattr(ml_dtypes, name))
        except (ImportError, AttributeError):
            return np.dtype(np.uint16 if name == "bfloat16" else np.uint8)
    raise ValueError(f"A tensor of type {name} cannot be turned into an array.")


def _is_text(values: Any) -> bool:
    while isinstance(values, list | tuple) and values:
        values = values[0]
    return isinstance(values, str | bytes)


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    raise TypeError(
        "A string tensor holds str and bytes only. "
        f"Received: {type(value).__name__}={value!r}"
    )
