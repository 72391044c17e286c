"""TensorProto to numpy array and back, as TensorFlow's C++ Tensor does it.

Decoding accepts all that `Tensor::FromProto` accepts: raw `tensor_content`, or the
typed field, where missing values repeat the last one and none at all means zeros.
Encoding fills the typed field (`float_val` ...), as TensorFlow Serving's responses do
without `--enable_serialization_as_tensor_content`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.saved_model.opaque import OPAQUE, opaque_array

TensorProto = tensor_pb2.TensorProto

# More than any message can carry: a few bytes must not make the server allocate more.
MAX_BYTES = 2**31 - 1
MAX_DIMENSIONS = 254
_POINTER_BYTES = 8
MAX_INT64 = 2**63 - 1


@dataclass(frozen=True)
class _Layout:
    """How a TensorProto holds values of one dtype.

    Attributes:
        enum: The DataType.
        dtype: The numpy dtype of the tensor.
        field: The repeated field of its values.
        wire: The numpy dtype of one entry of that field.
        per_value: Entries per value: 2 for complex numbers.
        bits: Whether an entry is the bit pattern of the value, not the value.
        packed_tag: The first byte of the packed field on the wire if an array's memory
            is the wire format already; else None.
    """

    enum: int
    dtype: np.dtype
    field: str
    wire: np.dtype
    per_value: int = 1
    bits: bool = False
    packed_tag: bytes | None = None


def _layouts() -> dict[int, _Layout]:
    def packed(field: str) -> bytes:
        number = TensorProto.DESCRIPTOR.fields_by_name[field].number
        return bytes([number << 3 | 2])  # wire type 2: length, then bytes

    layouts = {}

    def add(name: str, field: str, wire: Any, **how: Any) -> None:
        dtype = tf.dtypes.as_dtype(name)
        enum = dtype.as_datatype_enum
        layouts[enum] = _Layout(
            enum, np.dtype(dtype.as_numpy_dtype), field, np.dtype(wire), **how
        )

    add("float32", "float_val", "<f4", packed_tag=packed("float_val"))
    add("float64", "double_val", "<f8", packed_tag=packed("double_val"))
    add(
        "complex64",
        "scomplex_val",
        "<f4",
        per_value=2,
        bits=True,
        packed_tag=packed("scomplex_val"),
    )
    add(
        "complex128",
        "dcomplex_val",
        "<f8",
        per_value=2,
        bits=True,
        packed_tag=packed("dcomplex_val"),
    )
    add("bool", "bool_val", "?", packed_tag=packed("bool_val"))
    for name in ("float16", "bfloat16"):
        add(name, "half_val", "<u2", bits=True)
    for name in ("int8", "uint8", "int16", "uint16", "int32", "int4", "uint4"):
        add(name, "int_val", "<i4")
    for name, wire in (
        ("qint8", "i1"),
        ("quint8", "u1"),
        ("qint16", "<i2"),
        ("quint16", "<u2"),
        ("qint32", "<i4"),
    ):
        add(name, "int_val", wire, bits=True)
    add("uint32", "uint32_val", "<u4")
    add("int64", "int64_val", "<i8")
    add("uint64", "uint64_val", "<u8")
    return layouts


_LAYOUTS = _layouts()
_BY_DTYPE = {layout.dtype: layout for layout in _LAYOUTS.values()}


def parse_tensor(alias: str, proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Decode the TensorProto of an input.

    Args:
        alias: The input's name.
        proto: The tensor.

    Raises:
        ServingError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    try:
        return to_array(proto)
    except (ValueError, MemoryError):
        raise invalid_argument(f"tensor parsing error: {alias}") from None


def to_array(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Decode a TensorProto.

    Args:
        proto: A tensor of any shape.

    Returns:
        An array of the proto's shape; strings are `bytes` in an object array, resources
        and variants have no values (`opaque.py`). It may be read-only and share memory
        with the proto.

    Raises:
        ValueError: The proto does not describe a tensor.
    """
    shape = _shape(proto)
    count = math.prod(shape)
    if proto.dtype == types_pb2.DT_STRING:
        return _strings(proto, count).reshape(shape)
    if proto.dtype in OPAQUE:
        _check_count(count)
        if proto.tensor_content:
            raise ValueError("resources and variants as raw bytes")
        return opaque_array(proto, shape)
    layout = _LAYOUTS.get(proto.dtype)
    if layout is None:
        raise ValueError(f"dtype {proto.dtype} has no values")
    if count == 0:
        return np.empty(shape, layout.dtype)
    if proto.tensor_content:
        if layout.dtype == bool and max(proto.tensor_content) > 1:
            raise ValueError("bytes that are neither false nor true")
        # frombuffer refuses a fractional number of values, reshape any other mismatch.
        return np.frombuffer(proto.tensor_content, layout.dtype).reshape(shape)
    return _from_field(proto, layout, count).reshape(shape)


def _shape(proto: tensor_pb2.TensorProto) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if len(shape) > MAX_DIMENSIONS or any(size < 0 for size in shape):
        raise ValueError(f"shape {shape}")
    count = 1
    for size in shape:
        count *= size
        if count > MAX_INT64:
            raise ValueError(f"shape {shape} overflows")
    return shape


def _from_field(
    proto: tensor_pb2.TensorProto, layout: _Layout, count: int
) -> np.ndarray:
    if count * layout.dtype.itemsize > MAX_BYTES:
        raise ValueError(f"{count} values of {layout.dtype} are too many")
    entries = getattr(proto, layout.field)
    given = len(entries) // layout.per_value
    if given == 0:
        return np.zeros(count, layout.dtype)
    if layout.wire.itemsize < 4:  # the field is of int32: let larger values wrap
        values = np.array(entries, np.int64).astype(layout.wire)
    else:
        values = np.array(entries, layout.wire)
    values = values[: given * layout.per_value]
    values = values.view(layout.dtype) if layout.bits else values.astype(layout.dtype)
    if given < count:
        return np.concatenate([values, np.full(count - given, values[-1])])
    return values[:count]


def _check_count(count: int) -> None:
    if count * _POINTER_BYTES > MAX_BYTES:
        raise ValueError(f"{count} objects are too many")


def _strings(proto: tensor_pb2.TensorProto, count: int) -> np.ndarray:
    _check_count(count)
    if count and proto.tensor_content:
        given = _string_list(proto.tensor_content, count)
    else:
        given = list(proto.string_val[:count]) or [b""]
    array = np.empty(count, object)
    array[: len(given)] = given[:count]
    array[len(given) :] = given[-1]
    return array


def _string_list(content: bytes, count: int) -> list[bytes]:
    """Undo `EncodeStringList`: all lengths as varints, then all bytes."""
    lengths, at = [], 0
    for _ in range(count):
        length = shift = 0
        while True:
            if at == len(content) or shift > 28:
                raise ValueError("string lengths cut off")
            byte = content[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise ValueError("string bytes do not match their lengths")
    strings = []
    for length in lengths:
        strings.append(content[at : at + length])
        at += length
    return strings


def fill_proto(
    proto: tensor_pb2.TensorProto, array: np.ndarray, as_content: bool = False
) -> None:
    """Encode an array into an empty TensorProto.

    Args:
        proto: The message to fill.
        array: Strings are `bytes` in an object array.
        as_content: Whether to write the values to `tensor_content`, not to the field
            of their type.

    Raises:
        ValueError: A TensorProto cannot hold the dtype.
    """
    if array.dtype == object:
        proto.MergeFromString(_header(types_pb2.DT_STRING, array.shape))
        strings = array.ravel().tolist()
        if as_content:
            lengths = [_varint(len(string)) for string in strings]
            proto.tensor_content = b"".join(lengths + strings)
        else:
            proto.string_val.extend(strings)
        return
    layout = _BY_DTYPE.get(array.dtype)
    if layout is None:
        raise ValueError(f"Outputs of dtype {array.dtype} cannot be sent.")
    header = _header(layout.enum, array.shape)
    if as_content:
        proto.MergeFromString(header)
        proto.tensor_content = array.tobytes()
    elif layout.packed_tag is not None:
        # The array's memory is the wire format: 100 times faster than by element.
        raw = array.tobytes()
        proto.MergeFromString(header + layout.packed_tag + _varint(len(raw)) + raw)
    else:
        proto.MergeFromString(header)
        flat = np.ascontiguousarray(array).ravel()
        if layout.bits:
            flat = flat.view(layout.wire)
        getattr(proto, layout.field).extend(flat.tolist())


@functools.lru_cache(1024)
def _header(enum: int, shape: tuple[int, ...]) -> bytes:
    """Serialize a TensorProto without values; few occur, each often."""
    proto = TensorProto(dtype=enum)
    proto.tensor_shape.SetInParent()  # a scalar has a shape too: []
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    return proto.SerializeToString()


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
