"""The anatomy of a network: each layer's window, parameters, cost and receptive field.

`anatomy` walks the graph of any functional Keras model. It reads shapes and attributes
only, never the values of weights.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from fovea.models.anatomy import geometry
from fovea.models.anatomy import receptive_field as fields
from fovea.models.anatomy.arithmetic import kernel_extent
from fovea.models.anatomy.cost import cost
from fovea.models.anatomy.parts import Anatomy, Axes, LayerAnatomy, ReceptiveField


def anatomy(model: keras.Model) -> Anatomy:
    """Return the anatomy of a functional (or sequential) Keras model.

    Args:
        model: A model on images (N, H, W, C) of a fixed size; a first input of
            another rank has unknown receptive fields.

    Returns:
        An `Anatomy`. For a layer of an unknown type it has the parameters; the
        multiply-adds, and the receptive fields from there on, are None.

    Raises:
        ValueError: If the model is not a graph of layers or a size is unknown.

    Example:
    ```python
    parts = anatomy(models.build("lenet5", (28, 28, 1), 10))
    parts.parameters  # 61706
    parts.layer("c3").box(0, 0)  # the receptive field of c3's first unit
    ```
    """
    graph = _graph(model)
    if graph is None or not graph.inputs:
        raise ValueError(
            "The model must be functional or sequential, and built. "
            f"Received: model={model.name} ({type(model).__name__})"
        )
    for tensor in graph.inputs:
        if None in tensor.shape[1:]:
            raise ValueError(
                "The input's size must be fixed, because sizes, costs and fields "
                f"depend on it. Received: input_shape={tuple(tensor.shape[1:])}"
            )
    walk = _Walk()
    values = [walk.source(t, first=i == 0) for i, t in enumerate(graph.inputs)]
    outputs = walk.through(graph, values, prefix="")
    return walk.result(model, graph, outputs)


def _graph(layer: Any) -> Any:
    """Return the functional graph of a model, or None for any other layer."""
    if isinstance(layer, keras.Sequential):
        layer = layer._functional
    return layer if hasattr(layer, "_nodes_by_depth") else None


@dataclass
class _Value:
    """A tensor of the graph, and its receptive fields and size."""

    shape: tuple[int, ...]
    bytes: int
    axes: Axes | None
    producers: tuple[str, ...] = ()
    seen: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.shape) == 4:
            self.seen = [np.zeros(size, bool) for size in self.shape[1:3]]


class _Walk:
    """Traverses the graph once and collects the layers and what the totals need."""

    def __init__(self) -> None:
        self.layers: list[LayerAnatomy] = []
        self.windows: list[tuple[int, _Value]] = []
        self.steps: list[tuple[list[_Value], list[_Value]]] = []
        self.notes: list[str] = []
        self.counted: set[int] = set()
        self.names: dict[str, int] = {}

    def source(self, tensor: Any, *, first: bool) -> _Value:
        """Return the value of an input; only the first input is the image."""
        axes = None
        if len(tensor.shape) == 4:
            image = fields.pixels if first else fields.nothing
            axes = (image(tensor.shape[1]), image(tensor.shape[2]))
        return _Value(tuple(tensor.shape), _bytes(tensor), axes)

    def through(self, graph: Any, inputs: list[_Value], prefix: str) -> list[_Value]:
        """Traverse a graph and nested ones, and return the values of its outputs."""
        values = {id(t): value for t, value in zip(graph.inputs, inputs, strict=True)}
        for node in _nodes(graph):
            operation = node.operation
            if node.is_input:
                (tensor,) = node.outputs
                if not prefix:
                    self._input(operation, values[id(tensor)])
                continue
            arguments = [values[id(t)] for t in node.input_tensors]
            inner = _graph(operation)
            if inner is not None:
                outs = self.through(inner, arguments, f"{prefix}{operation.name}/")
            else:
                outs = self._call(node, arguments, prefix)
            values.update(
                {id(t): out for t, out in zip(node.outputs, outs, strict=True)}
            )
        return [values[id(tensor)] for tensor in graph.outputs]

    def _input(self, operation: Any, value: _Value) -> None:
        """Add an input layer."""
        shape = value.shape[1:]
        value.producers = (self._name(operation.name),)
        self.layers.append(
            LayerAnatomy(
                name=value.producers[0],
                kind=type(operation).__name__,
                inputs=(),
                kernel=None,
                stride=None,
                dilation=None,
                padding=None,
                input_shape=shape,
                output_shape=shape,
                parameters=0,
                trainable_parameters=0,
                fully_connected=None,
                locally_connected=None,
                multiply_adds=0,
                receptive_field=_summary(value.axes),
                axes=value.axes,
            )
        )
        self.steps.append(([], [value]))

    def _call(self, node: Any, inputs: list[_Value], prefix: str) -> list[_Value]:
        """Add a call of a layer and return the values of its outputs."""
        operation = node.operation
        shapes = [value.shape for value in inputs]
        shape = tuple(node.outputs[0].shape)
        connections = geometry.connectivity(operation, node.arguments, shapes, shape)
        costs = cost(operation, shapes, shape)
        axes = _axes(connections, inputs, shape) if len(node.outputs) == 1 else None
        parameters, trainable = self._parameters(operation)
        name = self._name(f"{prefix}{operation.name}")
        unknown = costs.multiply_adds is None
        self._note_peculiarities(operation, name, shapes[0] if shapes else (), unknown)
        if connections.kernel:
            self.windows.append((len(self.layers), inputs[0]))
        _mark_seen(connections, inputs)
        self.layers.append(
            LayerAnatomy(
                name=name,
                kind=type(operation).__name__,
                inputs=tuple(p for value in inputs for p in value.producers),
                kernel=connections.kernel,
                stride=connections.stride,
                dilation=connections.dilation,
                padding=connections.padding,
                input_shape=shapes[0][1:] if shapes else (),
                output_shape=shape[1:],
                parameters=parameters,
                trainable_parameters=trainable,
                fully_connected=costs.fully_connected,
                locally_connected=costs.locally_connected,
                multiply_adds=costs.multiply_adds,
                receptive_field=_summary(axes),
                axes=axes,
            )
        )
        outputs = [
            _Value(tuple(t.shape), _bytes(t), axes, (name,)) for t in node.outputs
        ]
        if geometry.known_class(operation) in geometry.VIEWS:
            outputs[0].bytes = 0
        self.steps.append((inputs, outputs))
        return outputs

    def _name(self, name: str) -> str:
        """Return a unique name: a further call of a layer gets a number."""
        self.names[name] = self.names.get(name, 0) + 1
        return name if self.names[name] == 1 else f"{name}#{self.names[name]}"

    def _parameters(self, operation: Any) -> tuple[int, int]:
        """Return the numbers of all and of trainable parameters not yet counted."""
        if id(operation) in self.counted or not isinstance(operation, keras.Layer):
            return 0, 0
        self.counted.add(id(operation))
        trainable = sum(math.prod(w.shape) for w in operation.trainable_weights)
        return operation.count_params(), trainable

    def _note_peculiarities(
        self, operation: Any, name: str, shape: Any, unknown: bool
    ) -> None:
        kind = geometry.known_class(operation)
        axis = getattr(operation, "axis", None)
        axis = [axis] if isinstance(axis, int) else list(axis or [])
        last = all(a in (-1, len(shape) - 1) for a in axis)
        if kind in geometry.STATISTICS and len(shape) == 4:
            if kind == "GroupNormalization" or not last:
                self.notes.append(
                    f"{name}: its statistics are taken over the whole map; "
                    "receptive fields count kernels only."
                )
        elif unknown:
            self.notes.append(
                f"{name}: {type(operation).__name__} is of an unknown type; "
                "its multiply-adds, and the receptive fields after it, are unknown."
            )

    def result(self, model: Any, graph: Any, outputs: list[_Value]) -> Anatomy:
        """Return the anatomy after the traversal."""
        warnings = list(self.notes)
        for place, value in self.windows:
            unseen = _unseen(value)
            if any(unseen):
                layer = dataclasses.replace(self.layers[place], unseen=unseen)
                self.layers[place] = layer
                warnings.append(_unseen_sentence(layer))
        weights = model.weights
        trainable = model.trainable_weights
        return Anatomy(
            name=model.name,
            input_shape=tuple(graph.inputs[0].shape[1:]),
            layers=tuple(self.layers),
            parameters=sum(layer.parameters for layer in self.layers),
            trainable_parameters=sum(x.trainable_parameters for x in self.layers),
            parameter_bytes=sum(_bytes(w, batch=False) for w in weights),
            trainable_bytes=sum(_bytes(w, batch=False) for w in trainable),
            output_bytes=sum(v.bytes for _, outs in self.steps for v in outs),
            peak_bytes=self._peak(outputs),
            warnings=tuple(warnings),
        )

    def _peak(self, outputs: list[_Value]) -> int:
        """Return the largest number of bytes of outputs that are needed later."""
        last_use = {id(value): len(self.steps) for value in outputs}
        for i, (inputs, outs) in reversed(list(enumerate(self.steps))):
            for value in inputs:
                last_use.setdefault(id(value), i)
                if outs[0].bytes == 0:  # a view keeps its input alive
                    until = last_use.get(id(outs[0]), i)
                    last_use[id(value)] = max(last_use[id(value)], until)
        alive: dict[int, int] = {}
        peak = 0
        for i, (_, outs) in enumerate(self.steps):
            alive.update({id(value): value.bytes for value in outs})
            peak = max(peak, sum(alive.values()))
            alive = {key: n for key, n in alive.items() if last_use.get(key, i) > i}
        return peak


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph in the order of computation."""
    # Keras' own summary and plot read the same attribute: no public one distinguishes
    # several calls of one layer.
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from graph._nodes_by_depth[depth]


def _bytes(tensor: Any, *, batch: bool = True) -> int:
    """Return the bytes of a tensor, without its batch axis if it has one."""
    size = math.prod(tensor.shape[1:] if batch else tensor.shape)
    name = keras.backend.standardize_dtype(tensor.dtype)
    bits = {"bool": 8, "bfloat16": 16}.get(name) or int(
        "".join(c for c in name.removesuffix("fn") if c.isdigit())
    )
    return size * bits // 8


def _axes(
    connections: geometry.Connectivity, inputs: list[_Value], shape: Any
) -> Axes | None:
    """Return the receptive fields of a layer's output, or None if unknown."""
    known = [value.axes for value in inputs if value.axes is not None]
    if connections.pattern == geometry.UNKNOWN or len(known) < len(inputs) or not known:
        return None
    sizes = shape[1:3] if len(shape) == 4 else (1, 1)
    axes = []
    for a, units in enumerate(sizes):
        mine = [both[a] for both in known]
        if connections.pattern == geometry.GLOBAL:
            mine = [fields.everything(f, units) for f in mine]
        if isinstance(connections.pattern, tuple):
            axes.append(fields.through(mine[0], connections.pattern[a]))
        elif connections.pattern == geometry.CONCATENATED and connections.axis == a:
            axes.append(fields.concatenate(mine))
        else:
            axes.append(mine[0] if len(mine) == 1 else fields.union(mine))
    return axes[0], axes[1]


def _mark_seen(connections: geometry.Connectivity, inputs: list[_Value]) -> None:
    """Mark the rows and columns of the inputs that a layer is connected to."""
    for value in inputs:
        for a, seen in enumerate(value.seen):
            if isinstance(connections.pattern, tuple):
                seen |= connections.pattern[a].connected.any(axis=0)
            else:
                seen |= True


def _unseen(value: _Value) -> tuple[int, int]:
    """Return the rows and columns that depend on the image but are never read."""
    if value.axes is None:
        return 0, 0
    rows, columns = (
        int(np.sum(~seen & (axis.first <= axis.last)))
        for seen, axis in zip(value.seen, value.axes, strict=True)
    )
    return rows, columns


def _unseen_sentence(layer: LayerAnatomy) -> str:
    """Return the warning about input that no window covers."""
    assert layer.kernel and layer.stride and layer.padding and layer.dilation
    rows, columns = layer.unseen
    a = 0 if rows else 1
    size, stride, padding = layer.input_shape[a], layer.stride[a], layer.padding[a]
    kernel = kernel_extent(layer.kernel[a], layer.dilation[a])
    if layer.kernel[a] < stride:
        reason = f"a kernel of {layer.kernel[a]} with stride {stride} leaves gaps"
    else:
        reason = (
            f"({size} - {kernel} + {sum(padding)}) is not divisible by the "
            f"stride {stride}"
        )
    return (
        f"{layer.name}: {rows} of {layer.input_shape[0]} rows and {columns} of "
        f"{layer.input_shape[1]} columns of its input are not covered, because "
        f"{reason}."
    )


def _summary(axes: Axes | None) -> ReceptiveField | None:
    """Return the receptive field of a layer from those along both axes."""
    if axes is None:
        return None
    rows, columns = axes
    jumps = (rows.jump, columns.jump)
    return ReceptiveField(
        (_number(rows.size), _number(columns.size)),
        None if None in jumps else (_number(jumps[0]), _number(jumps[1])),
        (_number(rows.start), _number(columns.start)),
        (_number(rows.centre), _number(columns.centre)),
    )


def _number(value: Any) -> float:
    return int(value) if value == int(value) else float(value)
