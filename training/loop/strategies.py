"""Over which devices training is spread: one, a machine's, or those of many machines.

Keras' fit hands each batch out to replicas of the model, one for each device, and
adds up their gradients; TensorFlow's strategies hold the replicas and carry the sums.
What Keras 3 leaves undone or does otherwise than with one device is put right here:

- It draws the same random numbers on all replicas: `spread_seeds`.
- It leaves each replica its own batch statistics: `Statistics`.
- It clips the gradients of each replica before it adds them up, and across machines
  its fit fails on two lines: `adopt`.
"""

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from fovea.training.loop import cluster

NAMES = ("auto", "single", "mirrored", "multiworker")
# What TensorFlow raises when it can no longer reach a worker.
LOST = (
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

    Several machines are told of each other by the environment variable TF_CONFIG,
    as TensorFlow documents it, and all of them are given the same command.

    Args:
        name: "single"; "mirrored", all devices of a kind of this machine;
            "multiworker", those of all machines in TF_CONFIG; or "auto", the first
            of multiworker, mirrored and single for which there is more than one.

    Returns:
        A `tf.distribute.Strategy`. To be asked for before TensorFlow's devices are
        used; asked again, it is the same.

    Raises:
        ValueError: If there is no such name, no TF_CONFIG or only one device.
        OSError: If a port is taken or another worker does not come.
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
    """Return whether this process is the one that writes the run and speaks."""
    return strategy.extended.should_checkpoint


def across_machines(strategy: tf.distribute.Strategy) -> bool:
    """Return whether other processes take part in the training."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def adopt(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Make Keras' fit work for a model as it works on one device.

    Args:
        model: A Keras model that was built and compiled in the strategy's scope, its
            optimiser and metrics built as well.
        strategy: The strategy.

    Raises:
        ValueError: If XLA is to compile what several devices do together.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas > 1:
        if model.jit_compile:
            raise ValueError(
                "XLA does not compile a step that several devices share; xla=auto "
                f"does without. Received: xla=True with {replicas} devices"
            )
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        _clip_together(optimizer, replicas)
    if across_machines(strategy):
        # Keras would build what is built already from the mean of a first batch,
        # which it asks of TensorFlow in a form that works within one machine only.
        model._maybe_symbolic_build = lambda *args, **kwargs: None
        # And it averages the figures that replicas return along their first axis,
        # which its own figures do not have.
        step = model.train_step
        model.train_step = lambda data: {
            name: figure[tf.newaxis] for name, figure in step(data).items()
        }


def spread_seeds(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Have each replica draw random numbers of its own, the first those it has.

    To be called whenever the model's random states were set; twice changes nothing.
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

    def spread():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        for state in states:
            seed, counter = tf.unstack(state.read_value())
            seed = seed % 2**32 + tf.cast(replica, state.dtype) * 2**32
            state.assign(tf.stack([seed, counter]))

    _everywhere(strategy, spread)()


class Statistics(keras.callbacks.Callback):
    """Averages what normalisations gathered on each replica, after every epoch.

    To come first of the callbacks, so that all others see the averages.
    `settle` does it at any other moment, on all machines at the same one.

    Args:
        strategy: The strategy.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        super().__init__()
        self.strategy = strategy

    def set_model(self, model):
        super().set_model(model)
        self.statistics = [
            weight.value
            for layer in model.layers
            if layer.trainable
            for weight in layer.non_trainable_weights
        ]
        self.average = _everywhere(self.strategy, self._average)

    def on_epoch_end(self, epoch, logs=None):
        self.settle()

    def settle(self) -> None:
        """Replace every replica's statistics by the averages."""
        if self.statistics and self.strategy.num_replicas_in_sync > 1:
            self.average()

    def _average(self):
        replica = tf.distribute.get_replica_context()
        means = replica.all_reduce(
            tf.distribute.ReduceOp.MEAN,
            [variable.read_value() for variable in self.statistics],
        )
        for variable, mean in zip(self.statistics, means, strict=True):
            variable.assign(mean)


@contextlib.contextmanager
def explaining_losses(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Say in one sentence what TensorFlow says when another worker is lost.

    Raises:
        ConnectionError: In place of TensorFlow's errors.
    """
    try:
        yield
    except LOST as error:
        if not across_machines(strategy):
            raise
        # Behind a list of every function that was being called.
        reason = error.message.rpartition("aborted by:")[2].strip().splitlines()[0]
        raise ConnectionError(
            "Another worker was lost, and training ends with it. Start all workers "
            "again, going on with --resume where training has begun. Received: "
            f"{reason}"
        ) from error


def _everywhere(strategy: tf.distribute.Strategy, function: Callable) -> Callable:
    """Return a function that calls another one on every replica, as a graph."""
    # A lambda would be the same code for every model, and TensorFlow warn of tracing
    # it anew.
    return tf.function(functools.partial(strategy.run, function), autograph=False)


def _clip_together(optimizer: keras.optimizers.Optimizer, replicas: int) -> None:
    """Have an optimiser clip the sum of all replicas' gradients."""
    norm, apply = optimizer.global_clipnorm, optimizer.apply
    if norm is None:
        return

    def clipped(grads, trainable_variables=None):
        replica = tf.distribute.get_replica_context()
        total = replica.all_reduce(tf.distribute.ReduceOp.SUM, list(grads))
        total, _ = tf.clip_by_global_norm(total, norm)
        # Keras will add up as many of these.
        return apply([each / replicas for each in total], trainable_variables)

    optimizer.global_clipnorm = None
    optimizer.apply = clipped


# One of each in a process: the sums of two would be taken for one another's.
@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _multiworker(machines: cluster.Cluster) -> tf.distribute.Strategy:
    cluster.gather(machines)
    before = signal.getsignal(signal.SIGTERM)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    # TensorFlow takes note of the signal and goes on.
    signal.signal(signal.SIGTERM, before)
    return strategy


def _devices(kind: str) -> tuple[str, ...]:
    return tuple(device.name for device in tf.config.list_logical_devices(kind))
