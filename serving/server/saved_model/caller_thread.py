"""Runs in the caller's thread, the cheapest way where none has to be cancelled.

TensorFlow hands the operations of a run to its threads and lets the caller sleep. For a
small network the wake-ups cost more than the arithmetic. A run in the caller's own
thread cannot be cancelled at its deadline: so this is for graphs whose runs take about
as long as earlier ones, and for deadlines that are far off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tensorflow.core.framework import function_pb2, node_def_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.client import pywrap_tf_session as c_api

# How long these take depends on their inputs' values.
_UNBOUNDED = {
    "EagerPyFunc",
    "Enter",
    "For",
    "PyFunc",
    "PyFuncStateless",
    "RefEnter",
    "StatelessWhile",
    "While",
}

# A deadline is far off when so many runs fit into the time that is left.
_MIN_RUNS_LEFT = 10

# By how much each further run shrinks the recorded longest duration.
_DECAY = 0.9

# RunOptions as a TF_Buffer, which every such run reads and nothing frees.
CALLER_THREAD_OPTIONS = c_api.TF_NewBufferFromString(
    config_pb2.RunOptions(inter_op_thread_pool=-1).SerializeToString()
)


class CallerThreadPolicy:
    """Decides which runs of a graph may use their caller's thread.

    Args:
        meta_graph: The graph.
    """

    def __init__(self, meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
        self._unbounded = frozenset(_unbounded_outputs(meta_graph))
        self._longest = float("inf")

    def allows(self, fetches: Sequence[str], timeout: float | None) -> bool:
        """Return whether a run need not be cancelled.

        Args:
            fetches: The tensors to compute.
            timeout: Seconds until its deadline; None for none.
        """
        if not self._unbounded.isdisjoint(fetches):
            return False
        return timeout is None or timeout > _MIN_RUNS_LEFT * self._longest

    def record(self, seconds: float) -> None:
        """Record how long a run took."""
        if self._longest == float("inf"):
            self._longest = seconds
        else:  # no lock: an update that a race loses is soon made up for
            self._longest = max(seconds, self._longest * _DECAY)


def _unbounded_outputs(meta_graph: meta_graph_pb2.MetaGraphDef) -> Iterator[str]:
    """Yield the signatures' output tensors that need an unbounded operation."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    functions = {f.signature.name: f for f in meta_graph.graph_def.library.function}
    for signature in meta_graph.signature_def.values():
        for info in signature.outputs.values():
            reached = _reached(info.name, nodes, functions)
            if any(node.op in _UNBOUNDED for node in reached):
                yield info.name


def _reached(
    tensor: str,
    nodes: Mapping[str, node_def_pb2.NodeDef],
    functions: Mapping[str, function_pb2.FunctionDef],
) -> Iterator[node_def_pb2.NodeDef]:
    """Yield the operations that a tensor needs, and those of functions they call."""
    waiting: list[node_def_pb2.NodeDef] = []
    seen: set[str] = set()

    def add(names: Iterable[str]) -> None:
        for name in names:
            node = name.lstrip("^").partition(":")[0]
            if node in nodes and node not in seen:
                seen.add(node)
                waiting.append(nodes[node])

    add([tensor])
    called: set[str] = set()
    while waiting:
        node = waiting.pop()
        yield node
        # Node names inside functions are local: there, every operation counts.
        if node.name in nodes and nodes[node.name] is node:
            add(node.input)
        for value in node.attr.values():
            for function in (value.func, *value.list.func):
                if function.name in functions and function.name not in called:
                    called.add(function.name)
                    waiting.extend(functions[function.name].node_def)
