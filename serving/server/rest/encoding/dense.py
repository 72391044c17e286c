"""A JSON value to one dense array.

numpy converts a whole nested list in one call, which suffices for a valid request. What
does not become an array of the right type that way is converted value by value in
TensorFlow Serving's order, so that the error names the first wrong value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.rest.encoding import base64_objects
from fovea.serving.server.rest.encoding.pretty import value_text
from fovea.serving.server.saved_model.arrays import data_type_name

MAX_RANK = 63  # numpy's limit less the batch dimension


class TooDeep(Exception):
    """Lists are nested deeper than any array."""


@dataclass(frozen=True)
class _Numbers:
    """Which JSON numbers a numeric dtype accepts.

    Attributes:
        dtype: The numpy dtype.
        low: The least integer that is accepted.
        high: The greatest integer that is accepted.
        integers: Whether only integers are accepted; otherwise every number is.
    """

    dtype: Any
    low: int = 0
    high: int = 0
    integers: bool = True


_INT32 = (-(2**31), 2**31 - 1)
_NUMBERS = {
    types_pb2.DT_FLOAT: _Numbers(np.float32, integers=False),
    types_pb2.DT_DOUBLE: _Numbers(np.float64, integers=False),
    # Narrow integers are read as int32: larger values wrap around.
    types_pb2.DT_INT8: _Numbers(np.int8, *_INT32),
    types_pb2.DT_UINT8: _Numbers(np.uint8, *_INT32),
    types_pb2.DT_INT16: _Numbers(np.int16, *_INT32),
    types_pb2.DT_INT32: _Numbers(np.int32, *_INT32),
    types_pb2.DT_UINT32: _Numbers(np.uint32, 0, 2**32 - 1),
    types_pb2.DT_INT64: _Numbers(np.int64, -(2**63), 2**63 - 1),
    types_pb2.DT_UINT64: _Numbers(np.uint64, 0, 2**64 - 1),
}


def convert(value: Any, dtype: int, booleans: bool) -> np.ndarray | None:
    """Convert a JSON value to an array without a look at single values.

    Args:
        value: A number or nested lists of them.
        dtype: The DataType of the array.
        booleans: Whether the value may hold booleans, which numpy takes for numbers.

    Returns:
        None where `dense` must convert, whether the value is valid or not.
    """
    numbers = _NUMBERS.get(dtype)
    if numbers is None or booleans:
        return None
    try:
        array = np.array(value)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    if array.size == 0:
        return array.astype(numbers.dtype)
    if array.dtype.kind not in ("iu" if numbers.integers else "iuf"):
        return None
    if not numbers.integers:
        return _rounded(array, numbers.dtype)
    if numbers.low <= int(array.min()) and int(array.max()) <= numbers.high:
        return array.astype(numbers.dtype)
    return None


def _rounded(numbers: np.ndarray, dtype: Any) -> np.ndarray:
    """Convert to a floating-point dtype as C++ does: to a double first.

    What is too big for the dtype becomes an infinity.
    """
    with np.errstate(over="ignore"):
        return numbers.astype(np.float64, copy=False).astype(dtype, copy=False)


def dense(value: Any, dtype: int) -> np.ndarray:
    """Convert a JSON value to an array, value by value.

    Raises:
        ServingError: For the first invalid value.
        TooDeep: No array has that many dimensions.
    """
    shape = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        if not first:
            break
        first = first[0]
    if len(shape) > MAX_RANK:
        raise TooDeep
    values: list[Any] = []
    _fill(value, 0, shape, dtype, values)
    return stack(values, dtype).reshape(shape)


def stack(values: list[Any], dtype: int) -> np.ndarray:
    """Return checked values as an array of rank 1."""
    numbers = _NUMBERS.get(dtype)
    if numbers is None:
        array = np.empty(len(values), bool if dtype == types_pb2.DT_BOOL else object)
        array[:] = values
        return array
    if not numbers.integers:
        return _rounded(np.array(values, np.float64), numbers.dtype)
    wide = np.uint64 if dtype == types_pb2.DT_UINT64 else np.int64
    return np.array(values, wide).astype(numbers.dtype)


def _fill(
    value: Any, level: int, shape: list[int], dtype: int, values: list[Any]
) -> None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise invalid_argument(
                f"JSON Value: {value_text(value)} found at incorrect level: "
                f"{level + 1} in the JSON DOM. Expected at level: {rank}"
            )
        values.append(_single(value, dtype))
        return
    if level >= rank:
        raise invalid_argument(
            f"Encountered list at unexpected level: {level} expected < {rank}"
        )
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for element in value:
        _fill(element, level + 1, shape, dtype, values)


def _single(value: Any, dtype: int) -> Any:
    if dtype == types_pb2.DT_STRING:
        if isinstance(value, dict):
            return base64_objects.decode(value)
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        raise _wrong_type(value, dtype)
    if isinstance(value, dict):
        raise _wrong_type(value, dtype)
    if dtype == types_pb2.DT_BOOL:
        if isinstance(value, bool):
            return value
        raise _wrong_type(value, dtype)
    numbers = _NUMBERS.get(dtype)
    if numbers is None:
        raise ServingError(
            grpc.StatusCode.UNIMPLEMENTED,
            f"Conversion of JSON Value: {value_text(value)} to type: "
            f"{data_type_name(dtype)}",
        )
    return _number(value, dtype, numbers)


def _number(value: Any, dtype: int, numbers: _Numbers) -> Any:
    if type(value) not in ((int,) if numbers.integers else (int, float)):
        raise _wrong_type(value, dtype)
    if numbers.integers and not numbers.low <= value <= numbers.high:
        raise _wrong_type(value, dtype)
    return value


def json_type(value: Any) -> str:
    """Return the type of a JSON value as errors name it."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    names: dict[type, str] = {dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def _wrong_type(value: Any, dtype: int) -> ServingError:
    return invalid_argument(
        f"JSON Value: {value_text(value)} Type: {json_type(value)} is not of expected "
        f"type: {data_type_name(dtype)}"
    )
