"""The dtype and shape that an array must have to be batched with others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InputSpec:
    """An input of a graph, as its signature declares it.

    Attributes:
        dtype: The numpy dtype.
        shape: The dimensions, -1 for one of any length; None for any rank.
    """

    dtype: np.dtype
    shape: tuple[int, ...] | None

    def accepts(self, array: np.ndarray) -> bool:
        """Return whether an array matches, whatever its 0th dimension.

        One that does not match may still run, since only operations check shapes; but
        if it fails, it should fail alone.
        """
        if array.dtype != self.dtype:
            return False
        if self.shape is None:
            return True
        shape = array.shape
        if len(shape) != len(self.shape):
            return False
        return shape[1:] == self.shape[1:] or all(
            declared in (-1, length)
            for declared, length in zip(self.shape[1:], shape[1:], strict=True)
        )
