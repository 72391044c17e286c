"""Select layers and units to inspect, and the layer where their response is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fovea.models.anatomy.parts import Anatomy, LayerAnatomy
from fovea.training.inspect.units import activations

if TYPE_CHECKING:
    import keras

# Types of layers that may come between a layer's weights and its response.
FOLLOWING = {"Activation", "BatchNormalization", "Bias", "GroupNormalization"}
FOLLOWING |= {"ELU", "LeakyReLU", "MaxPooling2D", "PReLU", "ReLU"}


@dataclass(frozen=True)
class Units:
    """The units of a layer: the channels of a map, or the elements of a vector.

    Args:
        layer: Name of the layer with the weights.
        response: Name of the layer whose output is the units' response: `layer`
            itself, or the activation that follows it as a layer of its own.
        shape: Of the response, without the batch axis: (rows, columns, units) or
            (units,).
        is_convolution: Whether the layer is a convolution.
    """

    layer: str
    response: str
    shape: tuple[int, ...]
    is_convolution: bool

    @property
    def count(self) -> int:
        """Number of units."""
        return self.shape[-1]

    @property
    def is_map(self) -> bool:
        """Whether each unit has a response at every position of a map."""
        return len(self.shape) == 3


def with_weights(model: keras.Model, parts: Anatomy) -> list[Units]:
    """Return the units of all convolutions and hidden fully connected layers.

    The last layer with weights gives the logits and is left out, unless there is no
    other.

    Args:
        model: A functional model.
        parts: Its anatomy, from `fovea.models.anatomy.walk.anatomy`.
    """
    found = [
        _units(model, parts, layer)
        for layer in parts.trunk
        if layer.fully_connected is not None and _is_reachable(layer)
    ]
    return found[:-1] or found


def named(model: keras.Model, parts: Anatomy, names: Sequence[str]) -> list[Units]:
    """Return the units of the layers of these names.

    Raises:
        ValueError: If there is no such layer, or it has no units.
    """
    layers = {layer.name for layer in model.layers}
    known = {
        layer.name: layer
        for layer in parts.layers
        if layer.name in layers
        and layer.inputs
        and len(layer.output_shape) in (1, 3)
        and _is_reachable(layer)
    }
    for name in names:
        if name not in known:
            raise ValueError(
                f"The layers of {parts.name} are {', '.join(known)}. "
                f"Received: --layer {name}"
            )
    return [_units(model, parts, known[name]) for name in dict.fromkeys(names)]


def check_numbers(layers: Sequence[Units], numbers: Sequence[int]) -> None:
    """Refuse numbers of units that these layers do not have.

    Raises:
        ValueError: If a layer has no unit of such a number.
    """
    for units in layers:
        for number in numbers:
            if not 0 <= number < units.count:
                raise ValueError(
                    f"The units of {units.layer} are 0 to {units.count - 1}. "
                    f"Received: --unit {number}"
                )


def outputs(model: keras.Model, layers: Sequence[Units]) -> keras.Model:
    """Return the part of a model that outputs the responses of these layers.

    Returns:
        A model: uint8 images -> a list of float tensors, one for each of `layers`.
    """
    import keras

    return keras.Model(
        model.inputs[0], [model.get_layer(units.response).output for units in layers]
    )


def _units(model: keras.Model, parts: Anatomy, layer: LayerAnatomy) -> Units:
    last = layer
    if layer.fully_connected is not None:
        last = _response(model, parts, layer)
    return Units(
        layer.name,
        last.name,
        last.output_shape,
        is_convolution=bool(layer.kernel) and layer.fully_connected is not None,
    )


def _response(model: keras.Model, parts: Anatomy, layer: LayerAnatomy) -> LayerAnatomy:
    """Return the layer with the response of a layer with weights: its activation."""
    response = last = layer
    while activations.of_layer(model.get_layer(last.name)) == "linear":
        followers = [each for each in parts.layers if last.name in each.inputs]
        if len(followers) != 1 or followers[0].kind not in FOLLOWING:
            break
        (last,) = followers
        if not _is_reachable(last):
            break
        if last.kind != "MaxPooling2D":
            # Pooling counts only if an activation follows it.
            response = last
        if last.kind == "PReLU":
            break
    return response


def _is_reachable(layer: LayerAnatomy) -> bool:
    """Return whether a layer is called once, and not inside another model."""
    return "/" not in layer.name and "#" not in layer.name
