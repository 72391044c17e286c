"""The interface of a loaded model, batched or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from fovea.serving.server.saved_model.signatures import Signatures


class LoadedModel(Protocol):
    """A version that is in memory.

    Attributes:
        check_method_names: Whether a request may only use signatures whose method
            name is that of its method.
        signatures: Every signature of the graph, `__saved_model_init_op` too.
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
            timeout: Seconds after which to give up; None for never.

        Returns:
            The values in the order of `fetches`; scalars for rank 0.

        Raises:
            ServingError: With TensorFlow's own code and text.
        """
        ...

    def close(self) -> None:
        """Free the session and the graph."""
        ...
