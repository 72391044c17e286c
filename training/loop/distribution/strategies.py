"""The devices that training runs on: one, one machine's, or those of many machines.

Keras' fit divides each batch among replicas of the model, one for each device, and
sums their gradients; TensorFlow's strategies hold the replicas and compute the sums.
Keras 3 differs from training on one device in some places, which are corrected:

- It draws the same random numbers on all replicas: `spread_seeds`.
- It leaves each replica its own batch statistics: `AverageStatistics`.
- It clips the gradients of each replica before it sums them, and across machines its
  fit fails in two places: `fovea.training.loop.distribution.multi_device`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from fovea.training.loop.distribution import cluster

NAMES = ("auto", "single", "mirrored", "multiworker")
# What TensorFlow raises when it can no longer reach a worker.
LOST_WORKER_ERRORS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)


def resolve(name: str) -> tf.distribute.Strategy:
    """Return the strategy of a name.

    Several machines find each other by the environment variable TF_CONFIG, as
    TensorFlow documents it, and run the same command.

    Args:
        name: "single"; "mirrored", this machine's GPUs, or its CPUs without one;
            "multiworker", the devices of all machines in TF_CONFIG; or "auto", the
            first of multiworker, mirrored (GPUs only) and single that has more than
            one device, or else single.

    Returns:
        A `tf.distribute.Strategy`, the same one whenever a process calls this; the
        first call must come before TensorFlow's devices are used.

    Raises:
        ValueError: If there is no such name, no TF_CONFIG or only one device.
        OSError: If a port is taken or another worker does not start in time.
    """
    if name not in NAMES:
        raise ValueError(
            f"The strategy must be one of {', '.join(NAMES)}. Received: strategy={name}"
        )
    if name in ("auto", "multiworker"):
        machines = cluster.read()
        if machines is not None and len(machines.addresses) > 1:
            return _multiworker(machines)
        if name == "multiworker":
            raise ValueError(
                "The multiworker strategy needs the environment variable TF_CONFIG, "
                "with more than one worker. "
                f"Received: TF_CONFIG={os.environ.get('TF_CONFIG', '')}"
            )
    gpus = _devices("GPU")
    if name == "mirrored":
        devices = gpus or _devices("CPU")
        if len(devices) < 2:
            raise ValueError(
                "The mirrored strategy needs more than one device; TensorFlow sees "
                f"{', '.join(devices)} here. Received: strategy=mirrored"
            )
        return _mirrored(devices)
    if name == "auto" and len(gpus) > 1:
        return _mirrored(gpus)
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process is the one that writes the run and prints."""
    return strategy.extended.should_checkpoint


def across_machines(strategy: tf.distribute.Strategy) -> bool:
    """Return whether other processes take part in the training."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def check_xla(strategy: tf.distribute.Strategy, jit_compile: bool | str) -> None:
    """Refuse XLA where several devices share a step.

    Args:
        strategy: The strategy.
        jit_compile: Keras' `jit_compile`.

    Raises:
        ValueError: If XLA is to compile a step of several devices.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas > 1 and jit_compile:
        raise ValueError(
            "XLA does not compile a step that several devices share; with xla=auto it "
            f"is off. Received: xla=True with {replicas} devices"
        )


def spread_seeds(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Make each replica draw random numbers of its own; the first keeps its state.

    To be called whenever the model's random states were set; calling it twice changes
    nothing.

    Args:
        model: The model, whose seed generators are changed.
        strategy: The strategy that it was built under.
    """
    if strategy.num_replicas_in_sync == 1:
        return
    weights = {id(weight) for weight in model.weights}
    states = [
        variable.value
        for variable in model.variables
        if id(variable) not in weights
        and variable.path.endswith("seed_generator_state")
    ]

    def spread() -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        for state in states:
            seed, counter = tf.unstack(state.read_value())
            seed = seed % 2**32 + tf.cast(replica, state.dtype) * 2**32
            state.assign(tf.stack([seed, counter]))

    _on_every_replica(strategy, spread)()


class AverageStatistics(keras.callbacks.Callback):
    """Average the batch statistics of the replicas after every epoch.

    It must be the first of the callbacks, so that the others see the averages. Within
    an epoch `average` does the same, if all machines call it at the same step.

    Args:
        strategy: The strategy.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        super().__init__()
        self.strategy = strategy

    def set_model(self, model: keras.Model) -> None:
        """Find the model's batch statistics."""
        super().set_model(model)
        self.statistics = [
            weight.value
            for layer in model.layers
            if layer.trainable
            for weight in layer.non_trainable_weights
        ]
        self._average_all = _on_every_replica(self.strategy, self._average)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Average the statistics."""
        self.average()

    def average(self) -> None:
        """Replace every replica's statistics by the averages."""
        if self.statistics and self.strategy.num_replicas_in_sync > 1:
            self._average_all()

    def _average(self) -> None:
        replica = tf.distribute.get_replica_context()
        means = replica.all_reduce(
            tf.distribute.ReduceOp.MEAN,
            [variable.read_value() for variable in self.statistics],
        )
        for variable, mean in zip(self.statistics, means, strict=True):
            variable.assign(mean)


@contextlib.contextmanager
def reporting_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turn TensorFlow's errors about a lost worker into one with a short message.

    Raises:
        ConnectionError: In place of TensorFlow's errors.
    """
    try:
        yield
    except LOST_WORKER_ERRORS as error:
        if not across_machines(strategy):
            raise
        # The reason follows a list of all functions on the stack.
        reason = error.message.rpartition("aborted by:")[2].strip().splitlines()[0]
        raise ConnectionError(
            "Another worker was lost, and training ends with it. Start all workers "
            "again, with --resume if training had begun. Received: "
            f"{reason}"
        ) from error


def _on_every_replica(
    strategy: tf.distribute.Strategy, function: Callable[[], None]
) -> Callable[[], None]:
    """Return a function that calls another one on every replica, as a graph."""
    # A lambda would be the same code for every model, and TensorFlow would warn of
    # retracing it.
    return tf.function(functools.partial(strategy.run, function), autograph=False)


# One of each in a process: the collective operations of two would be mixed up.
@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _multiworker(machines: cluster.Cluster) -> tf.distribute.Strategy:
    cluster.wait_for_workers(machines)
    before = signal.getsignal(signal.SIGTERM)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    # TensorFlow's handler records the signal and does not end the process.
    signal.signal(signal.SIGTERM, before)
    return strategy


def _devices(device_type: str) -> tuple[str, ...]:
    return tuple(device.name for device in tf.config.list_logical_devices(device_type))
