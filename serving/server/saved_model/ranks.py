"""Ranks: refuse the inputs on which a oneDNN convolution would abort the process.

For these, TensorFlow's own kernels return an error, which the C++ server passes on. The
same error is made here, with the name of the operation that would have failed.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from tensorflow.core.framework import function_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.saved_model.arrays import data_type, shape_string
from fovea.serving.server.saved_model.files import ops

_CONVOLUTIONS = {"Conv2D", "Conv3D", "DepthwiseConv2dNative"}
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
# Operations that take any rank and keep it, and so may come before a convolution.
_ELEMENTWISE = {"Add", "AddV2", "Cast", "Identity", "Mul", "RealDiv", "Sub"}
# What TensorFlow fuses into a convolution, which then gets the name of the last.
_FUSED = ({"BiasAdd", "FusedBatchNormV3"}, {"Elu", "LeakyRelu", "Relu", "Relu6"})

_Consumers = Mapping[str, list[tuple[node_def_pb2.NodeDef, int]]]


@dataclass(frozen=True)
class RequiredRank:
    """The rank that an input must have.

    Attributes:
        rank: The rank in the signature.
        dtype: The DataType in the signature; TensorFlow refuses any other itself.
        rule: The error's text before the shape.
        where: The operation's name, as TensorFlow's errors write it.
    """

    rank: int
    dtype: int
    rule: str
    where: str

    def check(self, array: np.ndarray) -> None:
        """Refuse an array of another rank.

        Raises:
            ServingError: INVALID_ARGUMENT.
        """
        if array.ndim != self.rank and data_type(array) == self.dtype:
            raise invalid_argument(
                f"{self.rule}{shape_string(array)}\n\t [[{self.where}]]"
            )


def required_ranks(meta_graph: meta_graph_pb2.MetaGraphDef) -> dict[str, RequiredRank]:
    """Return the inputs whose rank must be checked, by the names of their tensors.

    Returns:
        An empty dict where no kernel aborts.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return {}
    if _CONVOLUTIONS.isdisjoint(ops(meta_graph)):
        return {}
    functions = {f.signature.name: f for f in meta_graph.graph_def.library.function}
    found = {}
    for signature in meta_graph.signature_def.values():
        for info in signature.inputs.values():
            rank = len(info.tensor_shape.dim)
            if rank < 3 or info.tensor_shape.unknown_rank:
                continue
            feed = info.name.partition(":")[0]
            where, op = _first_convolution(
                meta_graph.graph_def.node, feed, functions
            ) or (f"{{{{node {feed}}}}}", "")
            rule = f"input must be {rank}-dimensional"
            if op != "DepthwiseConv2dNative":
                rule = f"convolution {rule}: "
            found[info.name] = RequiredRank(rank, info.dtype, rule, where)
    return found


def _first_convolution(
    nodes: Iterable[node_def_pb2.NodeDef],
    start: str,
    functions: Mapping[str, function_pb2.FunctionDef],
    function: str = "",
) -> tuple[str, str] | None:
    """Follow an input to the convolution that takes it, into functions as well.

    Returns:
        The convolution's place and operation, or None when another operation comes
        before it.
    """
    consumers = defaultdict(list)
    for node in nodes:
        for index, name in enumerate(node.input):
            consumers[name.partition(":")[0]].append((node, index))
    waiting, seen = deque([start]), {start}
    while waiting:
        for node, index in consumers[waiting.popleft()]:
            if node.op in _CONVOLUTIONS:
                place = f"{{{{node {_name_when_fused(node, consumers)}}}}}"
                if function:
                    place = f"{{{{function_node {function}}}}}{place}"
                return place, node.op
            if node.op in _CALLS:
                called = functions[node.attr["f"].func.name]
                argument = called.signature.input_arg[index].name
                name = called.signature.name
                found = _first_convolution(called.node_def, argument, functions, name)
                if found is not None:
                    return found
            elif node.op in _ELEMENTWISE and node.name not in seen:
                seen.add(node.name)
                waiting.append(node.name)
    return None


def _name_when_fused(node: node_def_pb2.NodeDef, consumers: _Consumers) -> str:
    if node.op != "Conv2D":
        return node.name
    for fused in _FUSED:
        following = consumers.get(node.name, [])
        if len(following) != 1 or following[0][0].op not in fused:
            break
        node = following[0][0]
    return node.name
