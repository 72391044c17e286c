"""Fit a network with Keras' own loop, one call of it for each size of the images."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import keras
import tensorflow as tf

from fovea import models
from fovea.models import augmentation, registry
from fovea.training.loop import batches as pipeline
from fovea.training.loop import checkpoint
from fovea.training.loop.checkpoint import State
from fovea.training.loop.checkpoint_callback import CheckpointCallback, stops_early
from fovea.training.loop.distribution import multi_device, strategies
from fovea.training.loop.optimization import optimizers
from fovea.training.loop.progress import EpochProgress
from fovea.training.loop.task import Task
from fovea.training.loop.validation_model import ValidationModel
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import environment

# (input_shape, augmentation) -> the network to train instead of a new one.
Build: TypeAlias = Callable[[tuple[int, int, int], "str | None"], keras.Model]


def initial_state(task: Task, build: Build | None = None) -> tuple[keras.Model, State]:
    """Return a network that is ready to be trained, and its state.

    Args:
        task: What is trained.
        build: Builds the network to train; None for a new one.

    Raises:
        ValueError: If the network has several outputs, or does not allow the recipe's
            sizes of the images.
    """
    with strategies.reporting_lost_workers(task.strategy):
        with _build_scope(task):
            if build is None:
                model = _build(task, epoch=0)
                registry.prepare(task.model, model, task.images_at(0))
            else:
                model = build(task.shape_at(0), task.recipe.augmentation)
            _check_outputs(model)
            model = multi_device.trainable(model, task.strategy)
        _check_sizes(task, model)
        compile_model(task, model)
        state = State()
        state.capture(model)
        return model, state


def fit(
    task: Task,
    state: State,
    *,
    run: Path | None,
    model: keras.Model | None = None,
    save_every: int | None = None,
    tensorboard: bool = False,
) -> CheckpointCallback:
    """Train from a state until the end, early stopping or an interruption.

    Args:
        task: What is trained.
        state: The state to start from; kept up to date.
        run: The run directory; None in a process that neither writes nor prints.
        model: The network that the state was captured from, if there is one.
        save_every: Steps between checkpoints within an epoch.
        tensorboard: Whether to write TensorBoard's events.

    Returns:
        The callback that saved the run; its `status` says how training ended.
    """
    recipe = task.recipe
    statistics = strategies.AverageStatistics(task.strategy)
    validation_model = ValidationModel(task)
    saving = CheckpointCallback(
        state,
        validation_model,
        run,
        steps_per_epoch=task.steps_per_epoch,
        patience=recipe.early_stopping,
        save_every=save_every,
        before_saving=statistics.average,
    )
    callbacks = [statistics, augmentation.AlternateFlips(), saving]
    progress = None
    if run is not None:
        if tensorboard:
            directory = str(run / "tensorboard")
            callbacks.append(keras.callbacks.TensorBoard(directory, write_graph=False))
        progress = EpochProgress(
            recipe.batch_size,
            task.steps_per_epoch,
            recipe.epochs,
            state.epoch * task.steps_per_epoch + state.step,
        )
        callbacks.append(progress)
    batches = None
    try:
        if model is None and state.epoch and not state.step:
            model = rebuild(task, state, state.epoch)
            state.restore(model)
            validation_model.copy_weights(model)
            saving.write_results()  # the process may have been killed before
        for epoch, step, end in segments(recipe, state.epoch, state.step):
            if stops_early(state.rows, recipe.early_stopping):
                break
            if model is None or model.input_shape[1:] != task.shape_at(epoch):
                model = rebuild(task, state, epoch)
            if batches is None or batches.images.shape[1:] != task.shape_at(epoch):
                batches = None  # frees its images before the next ones are made
                batches = make_batches(task, epoch)
            with strategies.reporting_lost_workers(task.strategy):
                # Keras leaves the averages in the weights when fit ends.
                state.restore(model)
                strategies.spread_seeds(model, task.strategy)
                model.fit(
                    batches.distributed(task.strategy, epoch, end, step),
                    initial_epoch=epoch,
                    epochs=end,
                    steps_per_epoch=batches.steps_per_epoch - step,
                    shuffle=False,
                    verbose=0,
                    callbacks=callbacks,
                )
            if saving.status == "diverged":
                break
    except KeyboardInterrupt:
        if strategies.across_machines(task.strategy):
            raise  # a checkpoint needs the other machines, which are still training
        saving.handle_interrupt()
    finally:
        if progress is not None:
            progress.close()
    return saving


def segments(recipe: Recipe, epoch: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Divide the rest of a run into segments for one call of Keras' fit each.

    A segment has images of one size, and begins within an epoch only if it ends with
    that epoch.

    Args:
        recipe: The recipe of the run.
        epoch: Number of completed epochs.
        step: Number of completed steps in the epoch after those.

    Yields:
        First epoch, first step in it, and the epoch after the last.
    """
    while epoch < recipe.epochs:
        changes = [start for start, _ in recipe.sizes if epoch < start < recipe.epochs]
        end = epoch + 1 if step else min([*changes, recipe.epochs])
        yield epoch, step, end
        epoch, step = end, 0


def _check_sizes(task: Task, model: keras.Model) -> None:
    """Refuse progressive resizing that a later epoch could not carry out."""
    height, width = task.input_shape[:2]
    for _, side in task.recipe.sizes:
        if height != width or side > height:
            raise ValueError(
                f"Progressive resizing makes square images smaller, not {height}x"
                f"{width} ones {side}x{side}. "
                f"Received: sizes={[list(pair) for pair in task.recipe.sizes]}"
            )
    if task.recipe.sizes:
        full = models.build(
            task.model, task.input_shape, task.num_classes, **task.recipe.options
        )
        if [w.shape for w in model.weights] != [w.shape for w in full.weights]:
            raise ValueError(
                f"Progressive resizing needs a network whose weights fit images of "
                f"any size, and those of {task.model} do not. "
                f"Received: sizes={[list(pair) for pair in task.recipe.sizes]}"
            )


def make_batches(task: Task, epoch: int) -> pipeline.Batches:
    """Return the training images as batches, at an epoch's size."""
    return pipeline.Batches(
        task.images_at(epoch),
        task.labels,
        task.num_classes,
        task.recipe.batch_size,
        task.seed,
        drop_last=task.recipe.drop_last,
        mixing=task.recipe.mixing,
        replicas=task.strategy.num_replicas_in_sync,
    )


def rebuild(task: Task, state: State, epoch: int) -> keras.Model:
    """Return a compiled network for an epoch's image size, for `state.restore`."""
    with _build_scope(task):
        model = multi_device.trainable(_build(task, epoch), task.strategy)
    checkpoint.freeze(model, state.frozen)
    compile_model(task, model)
    return model


def _build(task: Task, epoch: int) -> keras.Model:
    return models.build(
        task.model,
        task.shape_at(epoch),
        task.num_classes,
        augmentation=task.recipe.augmentation,
        **task.recipe.options,
    )


def compile_model(task: Task, model: keras.Model) -> None:
    """Compile a network with the optimiser, loss and metrics of a task.

    Raises:
        ValueError: If XLA is to compile a step that several devices share.
    """
    recipe = task.recipe
    replicas = task.strategy.num_replicas_in_sync
    jit_compile = environment.xla(recipe.xla, replicas)
    strategies.check_xla(task.strategy, jit_compile)
    with task.strategy.scope():
        model.compile(
            optimizer=optimizers.build(recipe, task.steps_per_epoch, replicas=replicas),
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.label_smoothing
            ),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=jit_compile,
        )
        model.optimizer.build(model.trainable_variables)
        # Keras creates the metrics' variables in the first step; an epoch that is
        # resumed needs them before that.
        nothing = tf.zeros((1, task.num_classes))
        with keras.StatelessScope():
            model.compute_metrics(None, nothing, nothing)


def _check_outputs(model: keras.Model) -> None:
    if len(model.outputs) != 1:
        raise ValueError(
            "A network that is trained must have one output, the logits. Received: "
            f"{', '.join(model.output_names)} of {model.name}"
        )


@contextlib.contextmanager
def _build_scope(task: Task) -> Iterator[None]:
    """Build models in the recipe's precision, on the task's devices."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(environment.precision(task.recipe.precision))
    try:
        with task.strategy.scope():
            yield
    finally:
        keras.config.set_dtype_policy(before)
