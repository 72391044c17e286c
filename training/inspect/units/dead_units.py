"""Dead units, and units in saturation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fovea.training.inspect.units import activations
from fovea.training.inspect.units.survey import Survey

if TYPE_CHECKING:
    import keras

# A unit whose response varies by less is dead.
LEAST_RANGE = 1e-3


@dataclass(frozen=True)
class Usage:
    """How much a layer's units responded to the images of a survey.

    Args:
        layer: Its name.
        activation: Name of its activation function, "linear" without one.
        units: Number of units.
        dead: Numbers of the dead units, that never responded: a rectifier's output was
            never above 0, any other's varied by less than 0.001.
        off: Share of responses, over units, images and places, that are not above 0.
        saturated: Share of responses within 0.05 of a limit of the activation
            function, where the gradient almost vanishes; None if it does not have two
            limits.
    """

    layer: str
    activation: str
    units: int
    dead: tuple[int, ...]
    off: float
    saturated: float | None


def usage(model: keras.Model, found: Survey) -> Usage:
    """Return how much a layer's units responded.

    Args:
        model: The model that was surveyed.
        found: The survey of one of its layers.
    """
    name = activations.of_layer(model.get_layer(found.units.response))
    highest = found.peaks.max(axis=0)
    dead = highest - found.lowest < LEAST_RANGE
    if name in activations.RECTIFIERS:
        dead = highest <= 0
    saturated = None
    if name in activations.SQUASHING:
        low = found.low if activations.SQUASHING[name][0] < 0 else found.still
        saturated = float((low + found.high).mean())
    return Usage(
        found.units.layer,
        name,
        found.units.count,
        tuple(int(unit) for unit in np.flatnonzero(dead)),
        float(found.off.mean()),
        saturated,
    )
