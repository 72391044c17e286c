"""Data classes that describe a network, independent of Keras."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from fovea.models.anatomy.receptive_field import AxisField

Axes = tuple[AxisField, AxisField]


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of a layer's units: the part of the image they depend on.

    Args:
        size: (height, width) in pixels, by the textbook's recursion, as if the image
            had no edges.
        jump: (rows, columns) in pixels from one unit's field to its neighbour's,
            smaller than 1 after upsampling; None if every unit's field is the whole
            image.
        start: (row, column) of the first unit's first pixel; negative in
            padding.
        centre: (row, column) of the centre of the first unit's field.
    """

    size: tuple[float, float]
    jump: tuple[float, float] | None
    start: tuple[float, float]
    centre: tuple[float, float]


@dataclass(frozen=True)
class Memory:
    """Estimated memory that a model needs at a batch size, in bytes.

    inference = parameters + batch size * the largest sum of layer outputs that are
    needed at the same time. training = parameters + gradients + the optimiser's slots
    (1 for momentum, 2 for Adam) + batch size * all layer outputs, which are kept for
    the backward pass. Workspace, fused operations and the framework itself are not
    included.
    """

    batch_size: int
    parameters: int
    inference: int
    training_momentum: int
    training_adam: int


@dataclass(frozen=True)
class LayerAnatomy:
    """One call of one layer.

    Args:
        name: The layer's name; inside a nested model "model/layer".
        kind: Class of the layer.
        inputs: Names of the layers that it takes its input from.
        kernel: (height, width) of the sliding window, None if there is none.
        stride: (rows, columns) of its steps.
        dilation: (rows, columns) between its taps.
        padding: ((top, bottom), (left, right)) that it adds.
        input_shape: Shape of the first input without the batch axis.
        output_shape: Shape of the output without the batch axis.
        parameters: Number of parameters; zero if an earlier call counts them.
        trainable_parameters: Number of trainable parameters.
        fully_connected: Parameters of the same mapping if every output were connected
            to every input; None for layers that are not linear maps with weights.
        locally_connected: Parameters of the same mapping if no weights were shared.
        multiply_adds: Products with weights for one image; None if unknown.
        receptive_field: None if unknown.
        unseen: (rows, columns) of the input map that depend on the image but are in no
            window of this or another layer.
        axes: Fields of all units along the height and the width; None if unknown.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    kernel: tuple[int, int] | None
    stride: tuple[int, int] | None
    dilation: tuple[int, int] | None
    padding: tuple[tuple[int, int], tuple[int, int]] | None
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    trainable_parameters: int
    fully_connected: int | None
    locally_connected: int | None
    multiply_adds: int | None
    receptive_field: ReceptiveField | None
    unseen: tuple[int, int] = (0, 0)
    axes: Axes | None = field(default=None, repr=False, compare=False)

    def box(self, row: int = 0, column: int = 0) -> tuple[int, int, int, int]:
        """Return the receptive field of one unit, as `image[y0:y1, x0:x1]`.

        Args:
            row: Row of the unit on the layer's map; 0 for a vector.
            column: Column of the unit on the layer's map; 0 for a vector.

        Returns:
            (y0, y1, x0, x1), cut at the image's edges; y0 == y1 if the unit depends on
            padding only.

        Raises:
            ValueError: If the field is unknown or there is no such unit.
        """
        if self.axes is None:
            raise ValueError(
                "The receptive field after a layer of an unknown type is unknown. "
                f"Received: layer={self.name}"
            )
        rows, columns = self.axes
        if not (0 <= row < len(rows) and 0 <= column < len(columns)):
            raise ValueError(
                f"The units of {self.name} form a map of {len(rows)}x{len(columns)}. "
                f"Received: unit={(row, column)}"
            )
        y0, y1 = int(rows.first[row]), int(rows.last[row]) + 1
        x0, x1 = int(columns.first[column]), int(columns.last[column]) + 1
        return (y0, y1, x0, x1) if y0 < y1 and x0 < x1 else (0, 0, 0, 0)


@dataclass(frozen=True)
class Anatomy:
    """A network's layers, in the order of computation, and totals.

    Args:
        name: The model's name.
        input_shape: (height, width, channels).
        layers: Every call of every layer.
        parameters: Equal to Keras' `count_params`.
        trainable_parameters: Number of trainable parameters.
        parameter_bytes: Bytes of all parameters.
        trainable_bytes: Bytes of the trainable parameters.
        output_bytes: Bytes of all layers' outputs, for one image.
        peak_bytes: Bytes of the outputs that are needed at the same time, at most, for
            one image.
        warnings: Notes to the reader, one sentence each.
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerAnatomy, ...]
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    trainable_bytes: int
    output_bytes: int
    peak_bytes: int
    warnings: tuple[str, ...]

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image, of those layers for which they are known."""
        return sum(layer.multiply_adds or 0 for layer in self.layers)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the layers whose multiply-adds are not known."""
        return tuple(x.name for x in self.layers if x.multiply_adds is None)

    @property
    def fully_connected(self) -> int:
        """Parameters of all linear maps if all outputs were connected to all inputs."""
        return sum(layer.fully_connected or 0 for layer in self.layers)

    @property
    def locally_connected(self) -> int:
        """Parameters of all linear maps if no weights were shared."""
        return sum(layer.locally_connected or 0 for layer in self.layers)

    @property
    def trunk(self) -> tuple[LayerAnatomy, ...]:
        """The layers without side heads: all that the deepest output depends on."""
        below: dict[str, set[str]] = {}
        for layer in self.layers:
            below[layer.name] = {layer.name}.union(*(below[x] for x in layer.inputs))
        deepest = max(below.values(), key=len)
        return tuple(layer for layer in self.layers if layer.name in deepest)

    @property
    def receptive_field(self) -> tuple[int, int] | None:
        """(height, width) of the receptive field of the last feature map's units.

        Later layers, such as global pooling, depend on the whole image. None if there
        is no such map because the network has no sliding window, if each unit's field
        is the whole image, or if the field is unknown.
        """
        trunk = self.trunk
        if not any(layer.kernel for layer in trunk):
            return None
        for layer in reversed(trunk):
            if len(layer.output_shape) != 3:
                continue
            seen = layer.receptive_field
            if seen and seen.jump:
                return int(seen.size[0]), int(seen.size[1])
            if layer.output_shape[:2] != (1, 1):  # not a pooled map of 1x1
                return None
        return None

    def memory(self, batch_size: int) -> Memory:
        """Return the estimated memory at a batch size.

        Raises:
            ValueError: If the batch size is not positive.
        """
        if batch_size < 1:
            raise ValueError(
                f"The batch size must be positive. Received: batch_size={batch_size}"
            )
        training = self.parameter_bytes + batch_size * self.output_bytes
        return Memory(
            batch_size,
            self.parameter_bytes,
            inference=self.parameter_bytes + batch_size * self.peak_bytes,
            training_momentum=training + 2 * self.trainable_bytes,
            training_adam=training + 3 * self.trainable_bytes,
        )

    def layer(self, name: str) -> LayerAnatomy:
        """Return the layer with a name.

        Raises:
            ValueError: If there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"The layers are {', '.join(layer.name for layer in self.layers)}. "
            f"Received: layer={name}"
        )

    def as_dict(self, batch_size: int = 1) -> dict[str, Any]:
        """Return all values in the form that `json.dump` accepts."""
        layers = []
        for layer in self.layers:
            values = {
                f.name: getattr(layer, f.name)
                for f in dataclasses.fields(layer)
                if f.name != "axes"
            }
            if layer.receptive_field:
                values["receptive_field"] = dataclasses.asdict(layer.receptive_field)
            layers.append(values)
        return {
            "name": self.name,
            "input_shape": self.input_shape,
            "parameters": self.parameters,
            "trainable_parameters": self.trainable_parameters,
            "fully_connected": self.fully_connected,
            "locally_connected": self.locally_connected,
            "multiply_adds": self.multiply_adds,
            "unknown_multiply_adds": self.unknown,
            "receptive_field": self.receptive_field,
            "memory_bytes": dataclasses.asdict(self.memory(batch_size)),
            "warnings": self.warnings,
            "layers": layers,
        }
