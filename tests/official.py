"""TensorFlow Serving's own message classes, and tensors in them, without TensorFlow.

The classes are generated code that needs protobuf alone, but lies in packages whose
`__init__` imports all of TensorFlow. The project's own wire format is compared with
them.
"""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from typing import Any

import numpy as np


def load() -> types.SimpleNamespace:
    """Import the official messages and stubs; TensorFlow may be imported later."""
    started = "tensorflow" in sys.modules
    if not started:
        spec = importlib.util.find_spec("tensorflow")
        assert spec is not None and spec.submodule_search_locations is not None
        package = types.ModuleType("tensorflow")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["tensorflow"] = package
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the versions of generated code
            return _import()
    finally:
        if not started:
            del sys.modules["tensorflow"]


def _import() -> types.SimpleNamespace:
    from tensorflow.core.example import example_pb2
    from tensorflow.core.framework import tensor_pb2, types_pb2
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_management_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    return types.SimpleNamespace(
        tensor=tensor_pb2,
        types=types_pb2,
        example=example_pb2,
        classification=classification_pb2,
        management=model_management_pb2,
        predict=predict_pb2,
        metadata=get_model_metadata_pb2,
        status=get_model_status_pb2,
        model_service=model_service_pb2_grpc,
        prediction_service=prediction_service_pb2_grpc,
    )


# NumPy's name of a type -> TensorFlow's, and its field for single values.
_TYPES = {
    "bool": ("DT_BOOL", "bool_val"),
    "uint8": ("DT_UINT8", "int_val"),
    "int32": ("DT_INT32", "int_val"),
    "int64": ("DT_INT64", "int64_val"),
    "float32": ("DT_FLOAT", "float_val"),
    "float64": ("DT_DOUBLE", "double_val"),
    "object": ("DT_STRING", "string_val"),
}


def to_array(official: types.SimpleNamespace, tensor: Any) -> np.ndarray:
    """Return a tensor's values, as `tf.make_ndarray` does."""
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    wanted = official.types.DataType.Name(tensor.dtype)
    for name, (dtype, field) in _TYPES.items():
        if dtype == wanted:
            if tensor.tensor_content:
                return np.frombuffer(tensor.tensor_content, name).reshape(shape)
            values = np.array(list(getattr(tensor, field)), name)
            return values.reshape(shape)
    raise TypeError(wanted)


def to_tensor(
    official: types.SimpleNamespace, array: np.ndarray, as_content: bool
) -> Any:
    """Return an array as a tensor, as bytes or in the typed field, as servers do."""
    dtype, field = _TYPES[array.dtype.name]
    tensor = official.tensor.TensorProto(dtype=dtype)
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if as_content and dtype != "DT_STRING":
        tensor.tensor_content = array.tobytes()
    else:
        getattr(tensor, field).extend(array.ravel().tolist())
    return tensor
