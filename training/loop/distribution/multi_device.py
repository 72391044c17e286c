"""Keras classes for several devices: their `fit` trains as it does on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from fovea.training.loop.distribution import strategies


def trainable(model: keras.Model, strategy: tf.distribute.Strategy) -> keras.Model:
    """Return a model that `fit` can train under a strategy.

    Args:
        model: A functional model with one output, built in the strategy's scope.
        strategy: The strategy; the caller is in its scope.

    Returns:
        The model itself; across machines a `MultiWorkerModel` of the same layers,
        variables included.
    """
    if not strategies.across_machines(strategy):
        return model
    return MultiWorkerModel(model.inputs[0], model.outputs[0], name=model.name)


class MultiWorkerModel(keras.Model):
    """A functional model that Keras' fit can train across machines.

    Two steps of it work within one machine only. For training alone: what a run
    saves is a plain functional model.
    """

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Train on a batch; return metrics with an axis for the replicas.

        Keras averages the metrics of the replicas along their first axis, and its own
        are scalars.
        """
        metrics = super().train_step(data)
        return {name: value[tf.newaxis] for name, value in metrics.items()}

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Skip building: optimiser and metrics are built before `fit` is called.

        Keras would reduce a first batch over all replicas to find shapes.
        """


class SummedClipping:
    """Clip the norm of the replicas' summed gradients: a mixin for Keras optimisers.

    Keras clips the gradients of each replica before it sums them.

    Args:
        summed_clipnorm: Largest global norm of the sum.
        **kwargs: The optimiser's own.
    """

    def __init__(self, *, summed_clipnorm: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.summed_clipnorm = summed_clipnorm

    def apply(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Update the variables; to be called on every replica."""
        replica = tf.distribute.get_replica_context()
        total = replica.all_reduce(tf.distribute.ReduceOp.SUM, list(grads))
        total, _ = tf.clip_by_global_norm(total, self.summed_clipnorm)
        # Keras will sum as many of these as there are replicas.
        share = [each / replica.num_replicas_in_sync for each in total]
        super().apply(share, trainable_variables)  # type: ignore[misc]


def with_summed_clipping(optimizer_class: type) -> type:
    """Return a subclass of a Keras optimiser with `SummedClipping`."""
    name = f"{SummedClipping.__name__}{optimizer_class.__name__}"
    return type(name, (SummedClipping, optimizer_class), {})
