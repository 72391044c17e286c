"""A loaded SavedModel whose runs are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from serving.server.batching.batcher import Batcher
from serving.server.batching.inputs import Input
from serving.server.batching.parameters import QueueOptions
from serving.server.batching.scheduler import Scheduler
from serving.server.runner import Runner


class BatchingRunner(Runner):
    """A Runner that runs together what is asked at the same time.

    Args:
        path: The version directory.
        tags: The tags of the meta graph to load.
        config: The session's configuration.
        check_method_names: Whether requests must keep to signatures made for them.
        scheduler: Runs the batches of all models.
        options: How requests are put together.

    Raises:
        ServingError: It cannot be loaded.
    """

    def __init__(
        self,
        path: Path,
        tags: Sequence[str] = ("serve",),
        config: config_pb2.ConfigProto | None = None,
        check_method_names: bool = False,
        *,
        scheduler: Scheduler,
        options: QueueOptions,
    ) -> None:
        super().__init__(path, tags, config, check_method_names)
        self._batcher = Batcher(
            super().run, inputs(self.signatures), scheduler, options
        )

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout: float | None = None,
    ) -> list[Any]:
        """Run the graph once, for these and for others; see ``Runner.run``.

        Raises:
            ServingError: TensorFlow's own code and text, or TF Serving's for what
                cannot be put together.
        """
        return self._batcher.run(feeds, fetches, timeout)

    def submit(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout: float | None = None,
    ) -> Future[list[Any]]:
        """The same without waiting: whoever holds the loan of the version awaits it.

        Returns:
            What will have the values, or the ServingError.
        """
        return self._batcher.submit(feeds, fetches, timeout)

    def close(self) -> None:
        """Answer what waits, then free the session and the graph."""
        if hasattr(self, "_batcher"):  # not when loading has failed
            self._batcher.close()
            del self._batcher  # which refers to us
        super().close()


def inputs(
    signatures: Mapping[str, meta_graph_pb2.SignatureDef],
) -> dict[str, Input]:
    """What signatures say of the tensors that they take, by the tensors' names."""
    found = {}
    for signature in signatures.values():
        for info in signature.inputs.values():
            if info.dtype == types_pb2.DT_INVALID:  # not a tensor of its own
                continue
            shape = None
            if not info.tensor_shape.unknown_rank:
                shape = tuple(dim.size for dim in info.tensor_shape.dim)
            dtype = np.dtype(tf.dtypes.as_dtype(info.dtype).as_numpy_dtype)
            found[info.name] = Input(dtype, shape)
    return found
