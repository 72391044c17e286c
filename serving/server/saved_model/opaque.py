"""Tensors of the dtypes resource and variant, which a request may hold.

There are no arrays of these dtypes, and a session accepts none from a client. An array
of their shape stands for such a tensor from the request to the run, which refuses it
with the errors of the C++ session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import grpc
import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.saved_model.arrays import (
    OPAQUE_DATA_TYPE,
    data_type,
    data_type_name,
)

OPAQUE = (types_pb2.DT_RESOURCE, types_pb2.DT_VARIANT)

_HANDLE = "handle"


def opaque_array(proto: tensor_pb2.TensorProto, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array that stands for a tensor of a dtype in `OPAQUE`."""
    handle = "0(name:  type: )"
    if proto.resource_handle_val:
        first = proto.resource_handle_val[0]
        handle = f"{first.hash_code}(name: {first.name} type: {first.maybe_type_name})"
    metadata = {OPAQUE_DATA_TYPE: proto.dtype, _HANDLE: handle}
    return np.broadcast_to(np.zeros((), np.dtype("V1", metadata=metadata)), shape)


def check_no_opaque(
    feeds: Mapping[str, np.ndarray], declared: Callable[[str], int]
) -> None:
    """Refuse feeds among which there is a resource or a variant.

    Args:
        feeds: Arrays by the names of the tensors that they replace.
        declared: Returns the DataType of a tensor of the graph by its name.

    Raises:
        ServingError: INVALID_ARGUMENT; UNIMPLEMENTED if the graph takes a variant.
    """
    described = (array.dtype.metadata for array in feeds.values())
    opaque = [metadata for metadata in described if metadata]
    if not opaque:
        return
    for metadata in opaque:
        if metadata[OPAQUE_DATA_TYPE] == types_pb2.DT_RESOURCE:
            raise invalid_argument(
                f"Invalid resource type hash code: {metadata[_HANDLE]}. Perhaps "
                "a resource tensor was being provided as a feed? That is not currently "
                "allowed. Please file an issue at "
                "https://github.com/tensorflow/tensorflow/issues/new, ideally with a "
                "short code snippet that leads to this error message."
            )
    for index, (name, array) in enumerate(sorted(feeds.items())):
        if data_type(array) != declared(name):
            raise invalid_argument(
                f"Expects arg[{index}] to be {data_type_name(declared(name))} but "
                f"{data_type_name(data_type(array))} is provided"
            )
    raise ServingError(
        grpc.StatusCode.UNIMPLEMENTED, "Inputs of dtype variant are not supported."
    )
