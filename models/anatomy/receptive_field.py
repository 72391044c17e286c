"""Exact receptive fields: the pixels that every unit of a layer depends on.

For one axis of the image, a kernel, stride, padding, crop, slice or upsampling is a
boolean matrix (output units x input units) of connections. Such matrices compose in any
order and across branches, and give the first and the last pixel for every unit. Beside
them the textbook's recursion gives one size and one jump for the layer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fovea.models.anatomy.arithmetic import kernel_extent


@dataclass(frozen=True)
class AxisConnectivity:
    """Connections of the units of a layer to those of its input, along one axis.

    Args:
        connected: bool (output units, input units).
        reach: Distance of the first and the last input unit of a window.
        step: Input units from one output unit's window to that of the next.
        centre: Centre of output unit 0's window, in input units.
    """

    connected: np.ndarray
    reach: Fraction
    step: Fraction
    centre: Fraction


def window(
    size: int, outputs: int, kernel: int, stride: int, dilation: int, before: int
) -> AxisConnectivity:
    """Return the connectivity of a convolution or pooling, `before` pixels padded."""
    taps = (
        np.arange(outputs)[:, None] * stride
        - before
        + np.arange(kernel)[None, :] * dilation
    )
    units, _ = np.nonzero((taps >= 0) & (taps < size))
    connected = np.zeros((outputs, size), bool)
    connected[units, taps[(taps >= 0) & (taps < size)]] = True
    reach = kernel_extent(kernel, dilation) - 1
    return AxisConnectivity(
        connected, Fraction(reach), Fraction(stride), Fraction(reach, 2) - before
    )


def transposed_window(
    size: int, outputs: int, kernel: int, stride: int, dilation: int, before: int
) -> AxisConnectivity:
    """Return the connectivity of a transposed convolution.

    Its matrix is the transpose of that of the convolution from `outputs` to `size`.
    """
    forward = window(outputs, size, kernel, stride, dilation, before)
    connected = forward.connected.T
    reach = math.ceil(Fraction(kernel_extent(kernel, dilation), stride)) - 1
    return AxisConnectivity(
        connected, Fraction(reach), 1 / Fraction(stride), -forward.centre / stride
    )


def gather(
    index: Sequence[int] | np.ndarray,
    size: int,
    step: Fraction | int = 1,
    centre: Fraction | int = 0,
) -> AxisConnectivity:
    """Return the connectivity of a layer that copies: crop, slice, pad, repeat.

    Args:
        index: Input unit that each output unit copies, -1 for none.
        size: Input units.
        step: Input units between neighbouring output units.
        centre: Input unit, perhaps a virtual one, that output unit 0 copies.
    """
    source = np.asarray(index)
    connected = np.zeros((len(source), size), bool)
    copied = np.flatnonzero(source >= 0)
    connected[copied, source[copied]] = True
    return AxisConnectivity(connected, Fraction(0), Fraction(step), Fraction(centre))


def interpolation(
    size: int, outputs: int, *, nearest: bool = False
) -> AxisConnectivity:
    """Return the connectivity of a resize with half-pixel centres, not antialiased."""
    step = Fraction(size, outputs)
    connected = np.zeros((outputs, size), bool)
    for unit in range(outputs):
        position = (unit + Fraction(1, 2)) * step - Fraction(1, 2)
        if nearest:
            taps = {math.floor(position + Fraction(1, 2))}
        else:
            taps = {math.floor(position), math.ceil(position)}
        for tap in taps:
            connected[unit, min(max(tap, 0), size - 1)] = True
    reach = Fraction(0 if nearest else 1)
    return AxisConnectivity(connected, reach, step, (step - 1) / 2)


@dataclass(frozen=True)
class AxisField:
    """Receptive fields of the units of one layer, along one axis of the image.

    Args:
        first: First pixel of each unit's field.
        last: Last pixel of each unit's field; smaller than `first` for an empty field,
            as in padding.
        size: Size of a unit's field in pixels, as if the image had no edges.
        jump: Pixels between the fields of neighbouring units; None if every unit's
            field is the whole image.
        centre: Centre of unit 0's field.
    """

    first: np.ndarray
    last: np.ndarray
    size: Fraction
    jump: Fraction | None
    centre: Fraction

    @property
    def start(self) -> Fraction:
        """First pixel of unit 0's field, negative where it begins in padding."""
        return self.centre - (self.size - 1) / 2

    def __len__(self) -> int:
        return len(self.first)


def pixels(size: int) -> AxisField:
    """Return the fields of the pixels: every pixel's is the pixel itself."""
    index = np.arange(size)
    return AxisField(index, index, Fraction(1), Fraction(1), Fraction(0))


def nothing(size: int) -> AxisField:
    """Return the fields of units that depend on no pixel."""
    return AxisField(
        np.ones(size, int), np.zeros(size, int), Fraction(0), None, Fraction(0)
    )


def through(field: AxisField, connections: AxisConnectivity) -> AxisField:
    """Return the fields of a layer whose input has the fields `field`."""
    connected = connections.connected & (field.first <= field.last)
    far = np.iinfo(int).max
    first = np.where(connected, field.first, far).min(axis=1, initial=far)
    last = np.where(connected, field.last, -1).max(axis=1, initial=-1)
    empty = last < 0
    jump = field.jump
    return AxisField(
        np.where(empty, 1, first),
        np.where(empty, 0, last),
        field.size + connections.reach * (jump or 0),
        None if jump is None else jump * connections.step,
        field.centre + connections.centre * (jump or 0),
    )


def everything(field: AxisField, units: int = 1) -> AxisField:
    """Return the fields of units that are each connected to all units of the input."""
    nonempty = field.first <= field.last
    if not nonempty.any():
        return nothing(units)
    first, last = int(field.first[nonempty].min()), int(field.last[nonempty].max())
    return AxisField(
        np.full(units, first),
        np.full(units, last),
        Fraction(last - first + 1),
        None,
        Fraction(first + last, 2),
    )


def union(fields: Sequence[AxisField]) -> AxisField:
    """Return the fields of units that are connected to those of several layers.

    An axis of length 1 is repeated, as in broadcasting.
    """
    units = max(len(field) for field in fields)
    spread = [everything(f, units) if len(f) < units else f for f in fields]
    nonempty = [f for f in spread if (f.first <= f.last).any()] or spread[:1]
    far = np.iinfo(int).max
    first = np.min(
        [np.where(f.first <= f.last, f.first, far) for f in nonempty], axis=0
    )
    last = np.max([np.where(f.first <= f.last, f.last, -1) for f in nonempty], axis=0)
    empty = last < 0
    jumps = [f.jump for f in nonempty if f.jump is not None]
    if len(jumps) == len(nonempty):
        start = min(f.start for f in nonempty)
        size = max(f.start + f.size for f in nonempty) - start
        centre = start + (size - 1) / 2
    else:
        whole = max((f for f in nonempty if f.jump is None), key=lambda f: f.size)
        size, centre = max(f.size for f in nonempty), whole.centre
    return AxisField(
        np.where(empty, 1, first),
        np.where(empty, 0, last),
        size,
        max(jumps) if len(jumps) == len(nonempty) else None,
        centre,
    )


def concatenate(fields: Sequence[AxisField]) -> AxisField:
    """Return the fields of several layers' units, concatenated along the axis.

    There is no common jump between the units; the size is that of the union.
    """
    first = np.concatenate([field.first for field in fields])
    last = np.concatenate([field.last for field in fields])
    whole = everything(AxisField(first, last, Fraction(0), None, Fraction(0)))
    return AxisField(first, last, whole.size, None, whole.centre)
