"""What a loaded model can do, whether its runs are put together or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from fovea.serving.server.saved_model.signatures import Signatures


class LoadedModel(Protocol):
    """A version that is in memory.

    Attributes:
        check_method_names: Whether requests must keep to signatures made for them.
        signatures: Every signature of the graph, the initialisation one too.
    """

    check_method_names: bool
    signatures: Signatures

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout: float | None = None,
    ) -> list[Any]:
        """Run the graph once.

        Args:
            feeds: Arrays by the names of the tensors that they replace.
            fetches: The names of the tensors to compute.
            timeout: Seconds after which to give up.

        Returns:
            The values in the order of ``fetches``; of rank 0, bare scalars.

        Raises:
            ServingError: TensorFlow's own code and text.
        """
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
