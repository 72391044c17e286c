"""Arrays as sessions return them and as TensorFlow's errors describe them."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

# The key in the metadata of the dtype of an array that stands for a tensor without
# values (`opaque.py`).
OPAQUE_DATA_TYPE = "data_type"

_NAMES = {"DT_HALF": "half", "DT_FLOAT": "float", "DT_DOUBLE": "double"}


def as_array(value: Any) -> np.ndarray:
    """Return a value of a session as an array: for rank 0, sessions return scalars."""
    if isinstance(value, np.ndarray):
        return value
    # numpy would make an S1 of bytes.
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def data_type(array: np.ndarray) -> int:
    """Return the DataType of an array's values."""
    if array.dtype == object:
        return types_pb2.DT_STRING
    if array.dtype.metadata:
        return array.dtype.metadata[OPAQUE_DATA_TYPE]
    return tf.dtypes.as_dtype(array.dtype).as_datatype_enum


def data_type_name(data_type: int) -> str:
    """Return a DataType's name as TensorFlow's errors write it: `half`, `int64`."""
    name = types_pb2.DataType.Name(data_type)
    return _NAMES.get(name) or name.removeprefix("DT_").lower()


def shape_string(array: np.ndarray) -> str:
    """Return an array's shape as TensorFlow's errors write it: `[2,3]`."""
    return f"[{','.join(map(str, array.shape))}]"
