"""What a tensor must be like to be run together with others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Input:
    """What a graph says of a tensor that it is fed.

    Attributes:
        dtype: Its numpy dtype.
        shape: Its dimensions, -1 for those of any length; None for any rank.
    """

    dtype: np.dtype
    shape: tuple[int, ...] | None

    def fits(self, array: np.ndarray) -> bool:
        """Whether an array can be fed, whatever its 0th dimension.

        One that does not is not for certain wrong, since TensorFlow looks at shapes
        when an operation does; but its error should be its own.
        """
        if array.dtype != self.dtype:
            return False
        if self.shape is None:
            return True
        shape = array.shape
        if len(shape) != len(self.shape):
            return False
        return shape[1:] == self.shape[1:] or all(
            wanted in (-1, length)
            for wanted, length in zip(self.shape[1:], shape[1:], strict=True)
        )
