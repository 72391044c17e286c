"""Units that do nothing, and units that have hit their ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fovea.training.inspect.units import activations
from fovea.training.inspect.units.survey import Survey

if TYPE_CHECKING:
    import keras

# A response that varies by less never tells anything apart.
STILL = 1e-3


@dataclass(frozen=True)
class Idle:
    """How a layer's units were used by the images of a survey.

    Args:
        layer: Its name.
        activation: Name of its activation function, "linear" without one.
        units: Their number.
        dead: Numbers of the units that never responded: a rectifier's output was
            never above 0, any other's varied by less than 0.001.
        off: Share of responses, over units, images and places, that are not above 0.
        saturated: Share of responses within 0.05 of an end of the activation
            function, where next to no gradient passes; None if it has no two ends.
    """

    layer: str
    activation: str
    units: int
    dead: tuple[int, ...]
    off: float
    saturated: float | None


def idle(model: "keras.Model", found: Survey) -> Idle:
    """Return how a layer's units were used.

    Args:
        model: The model that was surveyed.
        found: The survey of one of its layers.
    """
    name = activations.of_layer(model.get_layer(found.units.response))
    highest = found.peaks.max(axis=0)
    dead = highest - found.lowest < STILL
    if name in activations.RECTIFIERS:
        dead = highest <= 0
    saturated = None
    if name in activations.SQUASHING:
        low = found.low if activations.SQUASHING[name][0] < 0 else found.still
        saturated = float((low + found.high).mean())
    return Idle(
        found.units.layer,
        name,
        found.units.count,
        tuple(int(unit) for unit in np.flatnonzero(dead)),
        float(found.off.mean()),
        saturated,
    )
