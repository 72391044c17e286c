"""JSON to arrays and arrays to JSON."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.framework import types_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.rest.encoding.base64_objects import decode
from fovea.serving.server.rest.encoding.dense import convert, dense
from fovea.serving.server.rest.encoding.json_to_tensors import inputs
from fovea.serving.server.rest.encoding.parse import may_hold_booleans
from fovea.serving.server.rest.encoding.tensors_to_json import columns, predictions

DTYPES = {
    types_pb2.DT_FLOAT: np.float32,
    types_pb2.DT_DOUBLE: np.float64,
    types_pb2.DT_UINT8: np.uint8,
    types_pb2.DT_INT32: np.int32,
    types_pb2.DT_UINT32: np.uint32,
    types_pb2.DT_INT64: np.int64,
    types_pb2.DT_UINT64: np.uint64,
}
SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)
LEAVES = (
    st.integers(-(2**65), 2**65).map(lambda n: n if -(2**63) <= n < 2**64 else float(n))
    | st.integers(-3, 3)
    | st.floats()
    | st.none()
    | st.booleans()
    | st.text(max_size=2)
    | st.just({"b64": "YQ=="})
)
NESTED = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=9)


@settings(deadline=None, max_examples=300)
@given(NESTED, st.sampled_from(sorted(DTYPES)))
def test_the_fast_and_the_exact_conversion_agree(value, dtype):
    fast = convert(value, dtype, may_hold_booleans(json.dumps(value).encode()))
    try:
        exact = dense(value, dtype)
    except ServingError:
        assert fast is None
        return
    assert exact.dtype == DTYPES[dtype]
    if fast is not None:
        assert fast.dtype == exact.dtype
        np.testing.assert_array_equal(fast, exact)


@settings(deadline=None)
@given(st.data(), st.sampled_from(sorted(DTYPES)))
def test_columns_round_trip(data, dtype):
    array = data.draw(arrays.arrays(DTYPES[dtype], SHAPES))
    document = json.loads(columns({"y": array}))
    (read, by_row) = inputs({"inputs": document["outputs"]}, {"x": dtype}, False)
    assert not by_row
    assert read["x"].dtype == array.dtype
    # The shape ends where a list is empty.
    np.testing.assert_array_equal(read["x"].reshape(array.shape), array)


@settings(deadline=None)
@given(arrays.arrays(np.float32, SHAPES), st.booleans())
def test_rows_are_json_of_the_same_values(array, named):
    outputs = {"y": array, "n": np.arange(len(array))} if named else {"y": array}
    rows = json.loads(predictions(outputs))["predictions"]
    assert len(rows) == len(array)
    for index, row in enumerate(rows):
        values = row["y"] if named else row
        np.testing.assert_array_equal(
            np.array(values, np.float32).reshape(array.shape[1:]), array[index]
        )


def test_bytes_are_indented_by_the_arrays_around_them():
    array = np.array([[b"a", b"b"]], object)
    assert predictions({"y_bytes": array}).decode() == (
        '{\n    "predictions": [[{\n                "b64": "YQ=="\n            }, '
        '{\n                "b64": "Yg=="\n            }]\n    ]\n}'
    )
    assert columns({"y_bytes": array[0]}).decode() == (
        '{\n    "outputs": [\n        {\n            "b64": "YQ=="\n        },\n'
        '        {\n            "b64": "Yg=="\n        }\n    ]\n}'
    )


def test_strings_that_are_not_utf8_are_written_unchanged():
    body = columns({"y": np.array([b"\xff"], object)})
    assert body == b'{\n    "outputs": [\n        "\xff"\n    ]\n}'


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            {"a": np.zeros(2), "b": np.zeros(3)},
            "Tensor name: b has inconsistent batch size: 3 expecting: 2",
        ),
        ({"a": np.float32(1)}, "Tensor name: a has no shape information "),
        (
            {"a": np.zeros(1, np.float16)},
            "Failed to write JSON value for tensor type: half",
        ),
        (
            {"a": np.zeros(1, np.uint16)},
            "Failed to write JSON value for tensor type: uint16",
        ),
    ],
)
def test_outputs_that_have_no_rows(outputs, message):
    with pytest.raises(ServingError) as caught:
        predictions({name: np.asarray(array) for name, array in outputs.items()})
    assert caught.value.message == message


@pytest.mark.parametrize("depth", [70, 300, 5000])
def test_lists_deeper_than_any_tensor(depth):
    value = 1.0
    for _ in range(depth):
        value = [value]
    for document in ({"inputs": value}, {"instances": [value]}):
        with pytest.raises(ServingError) as caught:
            inputs(document, {"x": types_pb2.DT_FLOAT}, False)
        assert caught.value.message == "tensor parsing error: x"


@given(st.binary(), st.sampled_from(["", " ", "\n"]))
def test_base64_with_and_without_padding(raw, space):
    import base64

    text = base64.b64encode(raw).decode()
    for form in (text, text.rstrip("="), text.replace("=", "."), space.join(text)):
        assert decode({"b64": form}) == raw


@pytest.mark.parametrize("text", ["a", "YQ=", "YQ===", "Y=Q=", "YWI==", "é", "Y-_="])
def test_invalid_base64(text):
    with pytest.raises(ServingError, match="Unable to base64 decode"):
        decode({"b64": text})


def test_the_greatest_float_can_be_parsed_again():
    """Its nine digits are a larger number, which rounds to it."""
    greatest = np.array([np.finfo(np.float32).max], np.float32)
    document = json.loads(columns({"y": greatest}))
    read, _ = inputs({"inputs": document["outputs"]}, {"x": types_pb2.DT_FLOAT}, False)
    np.testing.assert_array_equal(read["x"], greatest)


HALFWAY = 2.0**128 - 2.0**103  # from the greatest float to 2^128


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (16777217, types_pb2.DT_FLOAT, 16777216.0),
        (2**64 - 1, types_pb2.DT_FLOAT, 2.0**64),
        (-(2**63), types_pb2.DT_FLOAT, -(2.0**63)),
        # Through a double, which loses the last bit; the nearest float is above.
        (2**60 + 2**36 + 1, types_pb2.DT_FLOAT, 2.0**60),
        (1e39, types_pb2.DT_FLOAT, math.inf),
        (-1e39, types_pb2.DT_FLOAT, -math.inf),
        (HALFWAY, types_pb2.DT_FLOAT, math.inf),
        (math.nextafter(HALFWAY, 0), types_pb2.DT_FLOAT, np.finfo(np.float32).max),
        (1e-50, types_pb2.DT_FLOAT, 0.0),
        (2**53 + 1, types_pb2.DT_DOUBLE, 2.0**53),
        (2**64 - 1, types_pb2.DT_DOUBLE, 2.0**64),
        (-(2**63), types_pb2.DT_DOUBLE, -(2.0**63)),
    ],
)
def test_numbers_that_a_dtype_cannot_hold_are_rounded(value, dtype, expected):
    for content in ([value], [value, 0], [value, 0.5], [value, -1]):
        for array in (convert(content, dtype, False), dense(content, dtype)):
            assert array.dtype == DTYPES[dtype]
            assert array[0] == expected
