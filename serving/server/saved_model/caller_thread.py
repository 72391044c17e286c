"""Runs in the thread of their request: cheapest, where none has to be given up.

TensorFlow hands the operations of a run to its threads and lets the caller sleep. For a
small network the wake-ups cost more than the arithmetic. In the caller's own thread a
run ends when it ends, whatever its deadline: so this is for graphs whose runs take as
long as they took before, and for deadlines that are far off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tensorflow.core.framework import function_pb2, node_def_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.client import pywrap_tf_session as c_api

# How long these take depends on the values that they are fed.
_OPEN_ENDED = {
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
_RUNS_TO_SPARE = 10

# Of the longest run, what is remembered after each other one.
_MEMORY = 0.9

# TF_Buffer, read by every run and never freed.
CALLER_THREAD = c_api.TF_NewBufferFromString(
    config_pb2.RunOptions(inter_op_thread_pool=-1).SerializeToString()
)


class CallerThread:
    """Says which runs of a graph can stay in their caller's thread.

    Args:
        meta_graph: The graph.
    """

    def __init__(self, meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
        self._open_ended = frozenset(_open_ended(meta_graph))
        self._longest = float("inf")

    def suits(self, fetches: Sequence[str], timeout: float | None) -> bool:
        """Whether a run with so many seconds left may be one that is not given up."""
        if not self._open_ended.isdisjoint(fetches):
            return False
        return timeout is None or timeout > _RUNS_TO_SPARE * self._longest

    def took(self, seconds: float) -> None:
        """Learn from a run."""
        if self._longest == float("inf"):
            self._longest = seconds
        else:  # no lock: what two threads lose of each other's is soon learned again
            self._longest = max(seconds, self._longest * _MEMORY)


def _open_ended(meta_graph: meta_graph_pb2.MetaGraphDef) -> Iterator[str]:
    """The tensors of signatures for which an operation of that kind is run."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    functions = {f.signature.name: f for f in meta_graph.graph_def.library.function}
    for signature in meta_graph.signature_def.values():
        for info in signature.outputs.values():
            reached = _reached(info.name, nodes, functions)
            if any(node.op in _OPEN_ENDED for node in reached):
                yield info.name


def _reached(
    tensor: str,
    nodes: Mapping[str, node_def_pb2.NodeDef],
    functions: Mapping[str, function_pb2.FunctionDef],
) -> Iterator[node_def_pb2.NodeDef]:
    """The operations that a tensor needs, with all of the functions they call."""
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
        # Inside functions, where names mean other nodes, every operation counts.
        if node.name in nodes and nodes[node.name] is node:
            add(node.input)
        for value in node.attr.values():
            for function in (value.func, *value.list.func):
                if function.name in functions and function.name not in called:
                    called.add(function.name)
                    waiting.extend(functions[function.name].node_def)
