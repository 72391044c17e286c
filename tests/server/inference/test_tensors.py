import contextlib

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from tensorflow.core.framework import tensor_pb2, types_pb2

from fovea.serving.server.inference.tensors import fill_proto, to_array
from fovea.serving.server.saved_model.arrays import data_type

NUMERIC = (
    npst.floating_dtypes(endianness="<")
    | npst.integer_dtypes(endianness="<")
    | npst.unsigned_integer_dtypes(endianness="<")
    | npst.boolean_dtypes()
    | npst.complex_number_dtypes(endianness="<", sizes=(64, 128))
)
ARRAYS = NUMERIC.filter(lambda dtype: dtype.itemsize <= 16).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0))
)
STRINGS = npst.array_shapes(min_dims=0, min_side=0, max_side=3).flatmap(
    lambda shape: npst.arrays(object, shape, elements=st.binary())
)


def proto(dtype="DT_FLOAT", shape=(), **fields):
    message = tensor_pb2.TensorProto(dtype=types_pb2.DataType.Value(dtype), **fields)
    for size in shape:
        message.tensor_shape.dim.add().size = size
    return message


@given(ARRAYS | STRINGS)
def test_round_trip(array):
    message = tensor_pb2.TensorProto()
    fill_proto(message, array)
    assert not message.tensor_content
    back = to_array(message)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(ARRAYS | STRINGS)
def test_round_trip_as_raw_bytes(array):
    message = tensor_pb2.TensorProto()
    fill_proto(message, array, as_content=True)
    fields = {field.name for field, _ in message.ListFields()}
    assert fields <= {"dtype", "tensor_shape", "tensor_content"}
    back = to_array(message)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(ARRAYS | STRINGS)
def test_read_and_write_what_tensorflow_writes_and_reads(kit, array):
    if array.dtype == np.float16 and not array.size:
        return  # make_tensor_proto and numpy disagree on empty halves
    np.testing.assert_array_equal(to_array(kit.tf.make_tensor_proto(array)), array)
    message = tensor_pb2.TensorProto()
    fill_proto(message, array)
    np.testing.assert_array_equal(kit.tf.make_ndarray(message), array)


@pytest.mark.parametrize("name", ["bfloat16", "qint8", "quint8", "qint16", "qint32"])
def test_dtypes_unknown_to_numpy(kit, name):
    dtype = kit.tf.dtypes.as_dtype(name)
    array = np.zeros(3, dtype.as_numpy_dtype)
    message = tensor_pb2.TensorProto()
    fill_proto(message, array)
    assert message.dtype == dtype.as_datatype_enum
    assert to_array(message).dtype == array.dtype


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (proto(shape=[3], float_val=[1, 2]), [1, 2, 2]),  # the last one repeats
        (
            proto(shape=[2], float_val=[1, 2, 3]),
            [1, 2],
        ),  # superfluous values are ignored
        (proto(shape=[2]), [0, 0]),  # without values all are zero
        (proto(float_val=[5]), 5),
        (proto("DT_UINT8", [2], int_val=[300, -1]), [44, 255]),  # wraps
        (proto("DT_HALF", [1], half_val=[0x3C00]), [1]),
        (proto("DT_COMPLEX64", [2], scomplex_val=[1, 2]), [1 + 2j, 1 + 2j]),
        (proto("DT_STRING", [3], string_val=[b"a", b"b"]), [b"a", b"b", b"b"]),
        (proto("DT_STRING", [2]), [b"", b""]),
        (proto("DT_STRING", [2], tensor_content=b"\x01\x02abb"), [b"a", b"bb"]),
        (proto("DT_INT16", [2], tensor_content=b"\x01\x00\xff\xff"), [1, -1]),
        (proto("DT_BOOL", [2], tensor_content=b"\x01\x00"), [True, False]),
        (proto(shape=[0, 5]), np.empty([0, 5], np.float32)),
    ],
)
def test_reads_what_tensorflow_reads(message, expected):
    array = to_array(message)
    np.testing.assert_array_equal(array, expected)
    assert array.shape == np.shape(expected)


@pytest.mark.parametrize(
    "message",
    [
        proto("DT_INVALID"),
        proto("DT_RESOURCE", tensor_content=b"x"),
        proto("DT_VARIANT", [2**40]),
        proto("DT_FLOAT_REF"),
        proto(shape=[-1], float_val=[4]),
        proto(shape=[2**62, 8], float_val=[4]),
        proto(shape=[2**62, 8, 0]),
        proto(shape=[3], tensor_content=b"1234"),
        proto(shape=[3], tensor_content=b"12345"),
        proto(shape=[1] * 255, float_val=[1]),
        proto(shape=[2**40], float_val=[1]),  # 4 TB out of 20 bytes
        proto("DT_BOOL", [2], tensor_content=b"\x00\x02"),
        proto("DT_STRING", [2**40], string_val=[b"a"]),
        proto("DT_STRING", [2], tensor_content=b"\x01"),
        proto("DT_STRING", [1], tensor_content=b"\x05abc"),
        proto("DT_STRING", [1], tensor_content=b"\xff\xff\xff\xff\xff\xff"),
    ],
)
def test_rejects_invalid_tensors(message):
    with pytest.raises(ValueError, match=r"\S"):
        to_array(message)


@pytest.mark.parametrize("name", ["DT_RESOURCE", "DT_VARIANT"])
def test_dtypes_without_values_keep_their_shape_and_dtype(name):
    array = to_array(proto(name, [2, 3]))
    assert array.shape == (2, 3)
    assert data_type(array) == types_pb2.DataType.Value(name)


@given(st.binary(max_size=64))
def test_random_bytes_are_a_tensor_or_rejected(raw):
    message = tensor_pb2.TensorProto()
    with contextlib.suppress(DecodeError):
        message.ParseFromString(raw)
    with contextlib.suppress(ValueError, MemoryError):
        to_array(message)
