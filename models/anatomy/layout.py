"""The cells of a diagram, from the layers of a network.

A diagram has fewer boxes than a network has layers: activations, normalisation, dropout
and padding are merged into the layer before them, and a run of equal blocks is one
block with a count. Between two nodes through which all paths lead there are either no
nodes or the parallel lanes of a block.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fovea.models.anatomy.parts import Anatomy, LayerAnatomy

COPIES = {"Cropping2D", "Flatten", "Reshape", "ZeroPadding2D"}


@dataclass
class Node:
    """A box: a layer, and those after it that do not change sizes.

    Args:
        layer: Layer that the box is named after.
        parameters: Its parameters and those of the layers merged into it.
        inputs: Nodes that it takes its input from.
        column: Column within its block.
        lane: Lane within its block.
    """

    layer: LayerAnatomy
    parameters: int
    inputs: list[Node] = field(default_factory=list)
    column: int = 0
    lane: int = 0


@dataclass
class Cell:
    """A block's inner nodes, in lanes, and its last node.

    Args:
        inner: Nodes between the previous cell's last node and this one's.
        last: Node through which all paths lead.
        bypassed: Whether a connection skips the inner nodes.
        lanes: Number of parallel lanes, including one for the bypass.
        times: Number of successive equal cells that this one stands for.
    """

    inner: list[Node]
    last: Node
    bypassed: bool = False
    lanes: int = 1
    times: int = 1

    @property
    def signature(self) -> tuple[object, ...]:
        """The properties in which cells that are drawn as one must agree."""
        places = {id(node): i for i, node in enumerate(self.inner)}
        return tuple(
            (
                node.layer.kind,
                node.layer.kernel,
                node.layer.stride,
                node.layer.dilation,
                node.layer.output_shape,
                node.parameters,
                tuple(places.get(id(source), -1) for source in node.inputs),
            )
            for node in [*self.inner, self.last]
        )


def cells(parts: Anatomy) -> list[Cell]:
    """Return the cells from the image to the last layer, without side heads."""
    found = []
    inner: list[Node] = []
    nodes = _nodes(parts)
    for i, node in enumerate(nodes):
        later = {id(source) for after in nodes[i + 1 :] for source in after.inputs}
        if any(id(before) in later for before in nodes[:i]):
            inner.append(node)
        else:
            found.append(_cell(inner, node))
            inner = []
    return _collapse(found)


def _nodes(parts: Anatomy) -> list[Node]:
    """Return the boxes, with layers merged into those before them."""
    nodes: list[Node] = []
    holder: dict[str, Node] = {}
    for layer in parts.trunk:
        if layer.inputs and _merges(layer):
            node = holder[layer.inputs[0]]
            node.parameters += layer.parameters
        else:
            sources = [holder[name] for name in layer.inputs]
            node = Node(layer, layer.parameters, sources)
            nodes.append(node)
        holder[layer.name] = node
    return nodes


def _merges(layer: LayerAnatomy) -> bool:
    """Return whether a layer is merged into the one before it."""
    if len(layer.inputs) != 1 or layer.kernel or layer.fully_connected:
        return False
    return layer.kind in COPIES or layer.input_shape == layer.output_shape


def _cell(inner: list[Node], last: Node) -> Cell:
    """Return a cell, with the columns and lanes of its inner nodes."""
    inside = {id(node) for node in inner}
    bypassed = bool(inner) and any(id(node) not in inside for node in last.inputs)
    taken: dict[int, int] = {}  # lane -> last column in use
    if bypassed:
        taken[0] = 10_000
    for node in inner:
        before = [source for source in node.inputs if id(source) in inside]
        node.column = 1 + max((source.column for source in before), default=-1)
        wanted = before[0].lane if before else 0
        choice = [wanted, *range(len(inner) + 1)]
        node.lane = next(x for x in choice if taken.get(x, -1) < node.column)
        taken[node.lane] = node.column
    lanes = 1 + max((node.lane for node in inner), default=0)
    _order(inner, last, bypassed, lanes)
    return Cell(inner, last, bypassed, lanes)


def _order(inner: list[Node], last: Node, bypassed: bool, lanes: int) -> None:
    """Sort the lanes in the order of the last node's inputs."""
    place = {id(node): i for i, node in reversed(list(enumerate(last.inputs)))}
    for node in reversed(inner):
        for source in node.inputs:
            known = place.get(id(source), len(last.inputs))
            place[id(source)] = min(known, place.get(id(node), known))
    first = {lane: len(last.inputs) for lane in range(lanes)}
    for node in inner:
        first[node.lane] = min(first[node.lane], place[id(node)])
    if bypassed:
        first[0] = -1
    order = sorted(first, key=lambda lane: (first[lane], lane))
    for node in inner:
        node.lane = order.index(node.lane)


def _collapse(found: list[Cell]) -> list[Cell]:
    """Return the cells with runs of equal ones replaced by one."""
    runs: list[list[Cell]] = []
    for cell in found:
        if runs and runs[-1][0].signature == cell.signature:
            runs[-1].append(cell)
        else:
            runs.append([cell])
    drawn: list[Cell] = []
    for run in runs:
        enough = 2 if run[0].inner else 4
        if len(run) >= enough:
            drawn.append(replace(run[0], times=len(run)))
        else:
            drawn += run
    return drawn
