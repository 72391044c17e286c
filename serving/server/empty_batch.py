"""Empty batches under oneDNN, whose pooling kernels give them the wrong shape.

TensorFlow's own kernels answer an empty batch with an empty answer, and the C++ server
runs on those. Here one row of zeros is run instead, and cut from the answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.saved_model import ops

_POOLING_OPS = {"AvgPool", "AvgPool3D", "MaxPool", "MaxPool3D"}


def outputs_to_cut(meta_graph: meta_graph_pb2.MetaGraphDef) -> frozenset[str]:
    """The tensors with a row for each row of the input, if pooling goes wrong here.

    Returns:
        Their names; none where empty batches can be run like any other.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return frozenset()
    if _POOLING_OPS.isdisjoint(ops(meta_graph)):
        return frozenset()
    return frozenset(
        info.name
        for signature in meta_graph.signature_def.values()
        for info in signature.outputs.values()
        if info.tensor_shape.dim and info.tensor_shape.dim[0].size == -1
    )


def one_row(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """The feeds of an empty batch with one row of zeros instead.

    Returns:
        Them, or None where there is no such row: the batch is not empty, or is one of
        strings, of which any may be refused.
    """
    if not feeds or any(
        array.shape[:1] != (0,) or array.dtype == object for array in feeds.values()
    ):
        return None
    return {
        name: np.zeros((1, *array.shape[1:]), array.dtype)
        for name, array in feeds.items()
    }
