"""A loaded SavedModel whose runs are put together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from fovea.serving.server.batching.batcher import Batcher
from fovea.serving.server.batching.inputs import Input
from fovea.serving.server.batching.parameters import QueueOptions
from fovea.serving.server.batching.scheduler import Scheduler
from fovea.serving.server.saved_model.session_runner import Runner


class BatchingRunner:
    """A loaded model that runs together what is asked of it at the same time.

    Args:
        runner: Runs the graph.
        scheduler: Runs the batches of all models.
        options: How requests are put together.

    Attributes:
        check_method_names: The runner's.
        signatures: The runner's.
    """

    def __init__(
        self, runner: Runner, scheduler: Scheduler, options: QueueOptions
    ) -> None:
        self.check_method_names = runner.check_method_names
        self.signatures = runner.signatures
        self._runner = runner
        batcher = Batcher(runner.run, inputs(runner.signatures), scheduler, options)
        self._batcher = batcher
        self.run = batcher.run
        self.submit = batcher.submit

    def close(self) -> None:
        """Answer what waits, then free the session and the graph."""
        self._batcher.close()
        self._runner.close()


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
