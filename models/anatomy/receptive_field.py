"""Receptive fields, exact: which pixels every single unit of a layer sees.

A kernel, a stride, padding, a crop, a slice or an upsampling, each says for one
axis of the image which units of its input a unit of its output looks at. Written
down as a boolean matrix (output units x input units), these compose whatever the
order and the branches, and every unit's first and last pixel follows. Beside them
runs the textbook's recursion, which gives one size and one jump for the layer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fovea.models.anatomy.arithmetic import kernel_extent


@dataclass(frozen=True)
class Glance:
    """What the units of one layer look at in the layer below, along one axis.

    Args:
        looks_at: bool (output units, input units).
        reach: Input units between the first and the last one looked at.
        step: Input units from one output unit's window to the next one's.
        centre: Centre of output unit 0's window, in input units.
    """

    looks_at: np.ndarray
    reach: Fraction
    step: Fraction
    centre: Fraction


def window(
    size: int, outputs: int, kernel: int, stride: int, dilation: int, before: int
) -> Glance:
    """Return the glance of a convolution or pooling, `before` pixels padded."""
    taps = (
        np.arange(outputs)[:, None] * stride
        - before
        + np.arange(kernel)[None, :] * dilation
    )
    units, _ = np.nonzero((taps >= 0) & (taps < size))
    looks_at = np.zeros((outputs, size), bool)
    looks_at[units, taps[(taps >= 0) & (taps < size)]] = True
    reach = kernel_extent(kernel, dilation) - 1
    return Glance(
        looks_at, Fraction(reach), Fraction(stride), Fraction(reach, 2) - before
    )


def transposed_window(
    size: int, outputs: int, kernel: int, stride: int, dilation: int, before: int
) -> Glance:
    """Return the glance of a transposed convolution.

    Its matrix is the transposed one of the convolution that leads back, from
    `outputs` to `size`.
    """
    forward = window(outputs, size, kernel, stride, dilation, before)
    looks_at = forward.looks_at.T
    reach = math.ceil(Fraction(kernel_extent(kernel, dilation), stride)) - 1
    return Glance(
        looks_at, Fraction(reach), 1 / Fraction(stride), -forward.centre / stride
    )


def gather(
    index: "Sequence[int] | np.ndarray",
    size: int,
    step: Fraction | int = 1,
    centre: Fraction | int = 0,
) -> Glance:
    """Return the glance of a layer that copies: crop, slice, pad, repeat.

    Args:
        index: For each output unit the input unit that it copies, -1 for none.
        size: Input units.
        step: Input units between neighbouring output units.
        centre: Input unit, perhaps a virtual one, that output unit 0 copies.
    """
    source = np.asarray(index)
    looks_at = np.zeros((len(source), size), bool)
    copied = np.flatnonzero(source >= 0)
    looks_at[copied, source[copied]] = True
    return Glance(looks_at, Fraction(0), Fraction(step), Fraction(centre))


def interpolation(size: int, outputs: int, *, nearest: bool = False) -> Glance:
    """Return the glance of a resize, pixel centres at halves, no antialiasing."""
    step = Fraction(size, outputs)
    looks_at = np.zeros((outputs, size), bool)
    for unit in range(outputs):
        place = (unit + Fraction(1, 2)) * step - Fraction(1, 2)
        if nearest:
            taps = {math.floor(place + Fraction(1, 2))}
        else:
            taps = {math.floor(place), math.ceil(place)}
        for tap in taps:
            looks_at[unit, min(max(tap, 0), size - 1)] = True
    reach = Fraction(0 if nearest else 1)
    return Glance(looks_at, reach, step, (step - 1) / 2)


@dataclass(frozen=True)
class AxisField:
    """What the units of one layer see of the image, along one axis.

    Args:
        first: First pixel that each unit sees.
        last: Last pixel that each unit sees; smaller than `first` where a unit
            sees none, as in padding.
        size: Pixels that a unit sees, if the image went on beyond its edges.
        jump: Pixels between the fields of neighbouring units; None where the
            units have no place in the image, because each sees all of it.
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
    """Return the field of the image itself: every pixel sees itself."""
    place = np.arange(size)
    return AxisField(place, place, Fraction(1), Fraction(1), Fraction(0))


def nothing(size: int) -> AxisField:
    """Return the field of units that see no pixel."""
    return AxisField(
        np.ones(size, int), np.zeros(size, int), Fraction(0), None, Fraction(0)
    )


def through(field: AxisField, glance: Glance) -> AxisField:
    """Return the field of the layer that looks at `field`'s layer."""
    looks_at = glance.looks_at & (field.first <= field.last)
    far = np.iinfo(int).max
    first = np.where(looks_at, field.first, far).min(axis=1, initial=far)
    last = np.where(looks_at, field.last, -1).max(axis=1, initial=-1)
    blind = last < 0
    jump = field.jump
    return AxisField(
        np.where(blind, 1, first),
        np.where(blind, 0, last),
        field.size + glance.reach * (jump or 0),
        None if jump is None else jump * glance.step,
        field.centre + glance.centre * (jump or 0),
    )


def everything(field: AxisField, units: int = 1) -> AxisField:
    """Return the field of units that each see all that `field`'s units see."""
    seeing = field.first <= field.last
    if not seeing.any():
        return nothing(units)
    first, last = int(field.first[seeing].min()), int(field.last[seeing].max())
    return AxisField(
        np.full(units, first),
        np.full(units, last),
        Fraction(last - first + 1),
        None,
        Fraction(first + last, 2),
    )


def union(fields: Sequence[AxisField]) -> AxisField:
    """Return the field of units that see what any of several layers' units see.

    An axis of length 1 is repeated, as in broadcasting.
    """
    units = max(len(field) for field in fields)
    spread = [everything(f, units) if len(f) < units else f for f in fields]
    seeing = [f for f in spread if (f.first <= f.last).any()] or spread[:1]
    far = np.iinfo(int).max
    first = np.min([np.where(f.first <= f.last, f.first, far) for f in seeing], axis=0)
    last = np.max([np.where(f.first <= f.last, f.last, -1) for f in seeing], axis=0)
    blind = last < 0
    jumps = [f.jump for f in seeing if f.jump is not None]
    if len(jumps) == len(seeing):
        start = min(f.start for f in seeing)
        size = max(f.start + f.size for f in seeing) - start
        centre = start + (size - 1) / 2
    else:
        whole = max((f for f in seeing if f.jump is None), key=lambda f: f.size)
        size, centre = max(f.size for f in seeing), whole.centre
    return AxisField(
        np.where(blind, 1, first),
        np.where(blind, 0, last),
        size,
        max(jumps) if len(jumps) == len(seeing) else None,
        centre,
    )


def concatenate(fields: Sequence[AxisField]) -> AxisField:
    """Return the field of several layers' units laid side by side on the axis.

    One jump no longer leads from unit to unit; together they see the union.
    """
    first = np.concatenate([field.first for field in fields])
    last = np.concatenate([field.last for field in fields])
    whole = everything(AxisField(first, last, Fraction(0), None, Fraction(0)))
    return AxisField(first, last, whole.size, None, whole.centre)
