"""Empty batches under oneDNN, whose convolutions give them the shape of their input.

TensorFlow's own kernels answer an empty batch with an empty answer, and the C++ server
runs on those. Here a batch of one is run instead, and its row cut from the answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from fovea.serving.server.saved_model.files import ops

_CONVOLUTIONS = {"Conv2D", "Conv3D"}

# A PNG of one black pixel: what such a graph takes as strings is pictures.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a"
    "0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a4944415478da6360000000020001e527defc"
    "0000000049454e44ae426082"
)


def outputs_to_cut(meta_graph: meta_graph_pb2.MetaGraphDef) -> frozenset[str]:
    """The tensors with a row for each row of the input, if empty ones go wrong here.

    Returns:
        Their names; none where empty batches can be run like any other.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return frozenset()
    if _CONVOLUTIONS.isdisjoint(ops(meta_graph)):
        return frozenset()
    return frozenset(
        info.name
        for signature in meta_graph.signature_def.values()
        for info in signature.outputs.values()
        if info.tensor_shape.dim and info.tensor_shape.dim[0].size == -1
    )


def one_row(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """A batch of one in the place of an empty one, None if the batch is not empty."""
    if not feeds or any(array.shape[:1] != (0,) for array in feeds.values()):
        return None
    rows = {}
    for name, array in feeds.items():
        value = _PIXEL if array.dtype == object else 0
        rows[name] = np.full((1, *array.shape[1:]), value, array.dtype)
    return rows
