"""Arrays and tensors, checked against TensorFlow's own conversion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from fovea.serving.protocol import wire_pb2
from fovea.serving.protocol.dtypes import NUMBERS, VALUE_FIELDS, type_name
from fovea.serving.protocol.tensors import array_to_tensor, tensor_to_array

NATIVE = """
bool uint8 uint16 uint32 uint64 int8 int16 int32 int64
float16 float32 float64 complex64 complex128
"""
SMALL = """
bfloat16 float8_e5m2 float8_e4m3fn float8_e4m3fnuz float8_e4m3b11fnuz float8_e5m2fnuz
int4 uint4 int2 uint2 float4_e2m1fn
"""


def to_official(official, tensor):
    return official.tensor.TensorProto.FromString(tensor.SerializeToString())


def to_ours(tensor):
    return wire_pb2.TensorProto.FromString(tensor.SerializeToString())


def same(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", NATIVE.split())
def test_numbers(tf, official, name):
    @settings(derandomize=True, max_examples=20, deadline=None)
    @given(npst.arrays(name, npst.array_shapes(min_dims=0, max_dims=3, min_side=0)))
    def check(array):
        tensor = array_to_tensor(array)
        same(tf.make_ndarray(to_official(official, tensor)), array)
        same(tensor_to_array(tensor), array)
        same(tensor_to_array(to_ours(tf.make_tensor_proto(array))), array)

    check()


@pytest.mark.parametrize("name", SMALL.split())
def test_small_types_of_ml_dtypes(tf, official, name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype=getattr(ml_dtypes, name))
    tensor = array_to_tensor(array)
    same(tf.make_ndarray(to_official(official, tensor)), array)
    same(tensor_to_array(tensor), array)
    same(tensor_to_array(to_ours(tf.make_tensor_proto(array))), array)


@pytest.mark.parametrize("number", sorted(VALUE_FIELDS))
def test_typed_fields_and_the_repeated_last_value(tf, official, number):
    """As in responses: typed fields, possibly shorter than the shape."""
    field = VALUE_FIELDS[number]
    values = {
        "string_val": [b"a", b"\0b\0"],
        "bool_val": [True, False],
        "float8_val": b"\x3c\x38",
        "half_val": [0x3C00, 0x4000],
        "scomplex_val": [1.0, 2.0, 3.0, 4.0],
        "dcomplex_val": [1.0, 2.0, 3.0, 4.0],
    }.get(field, [1, 0])
    tensor = wire_pb2.TensorProto(dtype=number, **{field: values})
    tensor.tensor_shape.dim.add(size=2)
    tensor.tensor_shape.dim.add(size=3)
    array = tensor_to_array(tensor)
    assert array.shape == (2, 3)
    last = array.ravel().tolist()[1]
    assert array.ravel().tolist()[2:] == [last] * 4
    if field != "float8_val":  # which make_ndarray does not read
        theirs = tf.make_ndarray(to_official(official, tensor))
        if theirs.dtype.names:  # quantised: a struct of one integer
            theirs = theirs[theirs.dtype.names[0]]
        np.testing.assert_array_equal(array, theirs)


def test_empty_fields_mean_zeros():
    tensor = wire_pb2.TensorProto(dtype="DT_FLOAT")
    tensor.tensor_shape.dim.add(size=2)
    assert tensor_to_array(tensor).tolist() == [0.0, 0.0]
    tensor.dtype = NUMBERS["string"]
    assert tensor_to_array(tensor).tolist() == [b"", b""]


@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.lists(st.binary(max_size=5), max_size=4))
def test_bytes_are_preserved(values):
    """Including trailing zero bytes, which NumPy's S type would drop."""
    assert tensor_to_array(array_to_tensor(values)).tolist() == values or not values


def test_text_is_sent_as_utf8(tf):
    for values in (["ä", "b"], np.array(["ä", "b"]), np.array(["ä", "b"], object)):
        tensor = array_to_tensor(values)
        expected = tf.make_tensor_proto(["ä", "b"])
        assert tensor.SerializeToString() == expected.SerializeToString()


def test_memory_layout_does_not_matter():
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    expected = array_to_tensor(array.T.copy()).SerializeToString()
    assert array_to_tensor(array.T).SerializeToString() == expected
    assert array_to_tensor(array.T.astype(">i4")).SerializeToString() == expected


def test_a_received_array_may_be_written_to():
    array = tensor_to_array(array_to_tensor(np.zeros(3)))
    array[0] = 1


def test_without_ml_dtypes_bfloat16_is_received_as_bits(monkeypatch):
    tensor = array_to_tensor(np.array([0x3F80, 0x4000], np.uint16))
    tensor.dtype = NUMBERS["bfloat16"]
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    monkeypatch.setattr(
        "fovea.serving.protocol.tensors.np.dtype", _only_native(np.dtype)
    )
    array = tensor_to_array(tensor)
    assert array.dtype == np.uint16
    assert array.tolist() == [0x3F80, 0x4000]


def _only_native(dtype):
    def only_native(name):
        if name in SMALL.split():
            raise TypeError(name)
        return dtype(name)

    return only_native


def test_inconsistent_tensors():
    tensor = array_to_tensor(np.zeros(3, np.float32))
    tensor.tensor_content = b"1234"
    with pytest.raises(ValueError, match="has 12 bytes"):
        tensor_to_array(tensor)
    many = wire_pb2.TensorProto(dtype="DT_FLOAT", float_val=[1, 2])
    with pytest.raises(ValueError, match="1 values cannot hold 2"):
        tensor_to_array(many)
    words = wire_pb2.TensorProto(dtype="DT_STRING", string_val=[b"a", b"b"])
    with pytest.raises(ValueError, match="Received: 2 strings"):
        tensor_to_array(words)
    many.tensor_shape.unknown_rank = True
    with pytest.raises(ValueError, match="shape must be known"):
        tensor_to_array(many)
    with pytest.raises(ValueError, match="type variant"):
        tensor_to_array(wire_pb2.TensorProto(dtype="DT_VARIANT"))


def test_values_that_are_not_representable():
    with pytest.raises(TypeError, match="Received: dtype=datetime64"):
        array_to_tensor(np.zeros(2, "datetime64[s]"))
    with pytest.raises(TypeError, match="Received: int=1"):
        array_to_tensor(np.array([1, "a"], object))


def test_names_are_tensorflows(tf):
    for number in VALUE_FIELDS:
        assert type_name(number) == tf.dtypes.as_dtype(number).name
    assert type_name(999) == "unknown(999)"
