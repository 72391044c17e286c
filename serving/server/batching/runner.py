"""A loaded SavedModel whose runs are batched."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from fovea.serving.server.batching.batcher import Batcher
from fovea.serving.server.batching.input_spec import InputSpec
from fovea.serving.server.batching.parameters import QueueOptions
from fovea.serving.server.batching.scheduler import Scheduler
from fovea.serving.server.saved_model.session_runner import Runner


class BatchingRunner:
    """A loaded model that batches concurrent runs.

    Args:
        runner: Runs the graph.
        scheduler: Runs the batches of all models.
        options: How requests are batched.

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
        batcher = Batcher(
            runner.run, input_specs(runner.signatures), scheduler, options
        )
        self._batcher = batcher
        self.run = batcher.run
        self.submit = batcher.submit

    def close(self) -> None:
        """Wait until every task is done, then free the session and the graph."""
        self._batcher.close()
        self._runner.close()


def input_specs(
    signatures: Mapping[str, meta_graph_pb2.SignatureDef],
) -> dict[str, InputSpec]:
    """Return the inputs of signatures by the names of their tensors."""
    found = {}
    for signature in signatures.values():
        for info in signature.inputs.values():
            if info.dtype == types_pb2.DT_INVALID:  # a composite of other tensors
                continue
            shape = None
            if not info.tensor_shape.unknown_rank:
                shape = tuple(dim.size for dim in info.tensor_shape.dim)
            dtype = np.dtype(tf.dtypes.as_dtype(info.dtype).as_numpy_dtype)
            found[info.name] = InputSpec(dtype, shape)
    return found
