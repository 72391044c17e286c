"""Empty batches under oneDNN, whose convolutions return them in their input's shape.

TensorFlow's own kernels, on which the C++ server runs, return an empty output for an
empty batch. Here a batch of one is run instead, and its row is cut from the outputs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from fovea.serving.server.saved_model.files import ops

_CONVOLUTIONS = {"Conv2D", "Conv3D"}

# A PNG of one black pixel: the strings that such a graph takes are image files.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a"
    "0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a4944415478da6360000000020001e527defc"
    "0000000049454e44ae426082"
)


def batched_outputs(meta_graph: meta_graph_pb2.MetaGraphDef) -> frozenset[str]:
    """Return the output tensors with a batch dimension, if empty batches fail here.

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
    """Return a batch of one in place of an empty batch, None for any other batch."""
    if not feeds or any(array.shape[:1] != (0,) for array in feeds.values()):
        return None
    rows = {}
    for name, array in feeds.items():
        value = _PIXEL if array.dtype == object else 0
        rows[name] = np.full((1, *array.shape[1:]), value, array.dtype)
    return rows
