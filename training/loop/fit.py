"""Fitting a network: Keras' own loop, in as many calls as the image size changes."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from fovea import models
from fovea.models import augmentation, registry
from fovea.training.datasets import load
from fovea.training.loop import batches as pipeline
from fovea.training.loop import checkpoint, optimizers, strategies
from fovea.training.loop.checkpoint import State
from fovea.training.loop.checkpoint_callback import Keeper, stops_early
from fovea.training.loop.progress import EpochProgress
from fovea.training.loop.validation_model import Judge
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import environment


@dataclass(frozen=True)
class Task:
    """What is trained, on what, and how.

    Attributes:
        model: The architecture's name.
        recipe: The hyper-parameters.
        input_shape: (height, width, channels) of the images.
        num_classes: Number of logits.
        images: uint8 (n, height, width, channels), to train on.
        labels: Integers (n,).
        held_out: Images and labels to judge by; may be empty.
        seed: Of weights, shuffling, mixing and augmentation.
        strategy: Over which devices training is spread.
    """

    model: str
    recipe: Recipe
    input_shape: tuple[int, int, int]
    num_classes: int
    images: np.ndarray
    labels: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray]
    seed: int
    strategy: tf.distribute.Strategy

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        return pipeline.epoch_size(
            len(self.images),
            self.recipe.batch_size,
            drop_last=self.recipe.drop_last,
            replicas=self.strategy.num_replicas_in_sync,
        )[1]

    def side(self, epoch: int) -> int:
        """Return the side of the training images in an epoch."""
        begun = [side for start, side in self.recipe.sizes if start <= epoch]
        return begun[-1] if begun else self.input_shape[0]

    def images_at(self, epoch: int) -> np.ndarray:
        """Return the training images at an epoch's size."""
        if not self.recipe.sizes:
            return self.images
        return pipeline.resized(self.images, self.side(epoch))

    def shape_at(self, epoch: int) -> tuple[int, int, int]:
        """Return (height, width, channels) of the training images in an epoch."""
        if not self.recipe.sizes:
            return self.input_shape
        side = self.side(epoch)
        return side, side, self.input_shape[2]


def task_of(
    model: str, dataset, recipe: Recipe, seed: int, strategy: tf.distribute.Strategy
) -> Task:
    """Return the task of training on a data set, a part of it held out.

    Raises:
        ValueError: If no image would be left to train on.
    """
    images, labels, *held_out = load.split(dataset, recipe.validation_split, seed)
    return Task(
        model=model,
        recipe=recipe,
        input_shape=dataset.input_shape,
        num_classes=dataset.num_classes,
        images=images,
        labels=labels,
        held_out=tuple(held_out),
        seed=seed,
        strategy=strategy,
    )


def first_state(
    task: Task, build: "Callable | None" = None
) -> "tuple[keras.Model, State]":
    """Return a network that is ready to be trained, and its state.

    Args:
        task: What is trained.
        build: None, or a function of (input_shape, augmentation) that returns the
            network to train instead of a new one.
    """
    with strategies.explaining_losses(task.strategy):
        with _in_place(task):
            if build is None:
                model = _build(task, epoch=0)
                registry.prepare(task.model, model, task.images_at(0))
            else:
                model = build(task.shape_at(0), task.recipe.augmentation)
        _check_sizes(task, model)
        compile_model(task, model)
        state = State()
        state.take(model)
        return model, state


def fit(
    task: Task,
    state: State,
    *,
    run: "Path | None",
    model: "keras.Model | None" = None,
    save_every: "int | None" = None,
    tensorboard: bool = False,
) -> Keeper:
    """Train from a state on: to the end, an early one, or an interruption.

    Args:
        task: What is trained.
        state: Where training stands; kept up to date.
        run: The run directory; None in a process that neither writes nor shows.
        model: The network that the state was taken from, if there is one.
        save_every: Steps between checkpoints within an epoch.
        tensorboard: Whether to write TensorBoard's events.

    Returns:
        What kept the run: it knows how training ended.
    """
    recipe = task.recipe
    statistics = strategies.Statistics(task.strategy)
    keeper = Keeper(
        state,
        Judge(task),
        run,
        steps_per_epoch=task.steps_per_epoch,
        patience=recipe.early_stopping,
        save_every=save_every,
        before_saving=statistics.settle,
    )
    callbacks = [
        statistics,
        augmentation.AlternateFlips(),
        keeper,
    ]
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
            state.give(model)
            keeper.judge.take(model)
            keeper.publish()  # the process may have been killed before
        for epoch, step, end in legs(recipe, state.epoch, state.step):
            if stops_early(state.rows, recipe.early_stopping):
                break
            if model is None or model.input_shape[1:] != task.shape_at(epoch):
                model = rebuild(task, state, epoch)
            if batches is None or batches.images.shape[1:] != task.shape_at(epoch):
                batches = None  # before there are two sets of images
                batches = batches_of(task, epoch)
            with strategies.explaining_losses(task.strategy):
                # Keras leaves the averages in the weights when it ends.
                state.give(model)
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
            if keeper.status == "diverged":
                break
    except KeyboardInterrupt:
        if strategies.across_machines(task.strategy):
            raise  # the others, still training, cannot be asked for a checkpoint
        keeper.interrupted()
    finally:
        if progress is not None:
            progress.close()
    return keeper


def legs(recipe: Recipe, epoch: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Divide what is left of a run into parts that one call of Keras' fit can do.

    A part has images of one size, and begins within an epoch only if it ends with
    that epoch.

    Yields:
        First epoch, first step in it, and the epoch after the last.
    """
    while epoch < recipe.epochs:
        changes = [start for start, _ in recipe.sizes if epoch < start < recipe.epochs]
        end = epoch + 1 if step else min([*changes, recipe.epochs])
        yield epoch, step, end
        epoch, step = end, 0


def _check_sizes(task: Task, model: keras.Model) -> None:
    """Refuse progressive resizing that cannot be carried out to its end."""
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


def batches_of(task: Task, epoch: int) -> pipeline.Batches:
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
    """Return a network for an epoch's image size that can take over the state."""
    with _in_place(task):
        model = _build(task, epoch)
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
    """Give a network the optimiser, loss and metrics of a task, ready for `fit`."""
    if len(model.outputs) != 1:
        raise ValueError(
            "A network that is trained must have one output, the logits. Received: "
            f"{', '.join(model.output_names)} of {model.name}"
        )
    recipe = task.recipe
    with task.strategy.scope():
        model.compile(
            optimizer=optimizers.build(recipe, task.steps_per_epoch),
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.label_smoothing
            ),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=environment.xla(recipe.xla, task.strategy.num_replicas_in_sync),
        )
        model.optimizer.build(model.trainable_variables)
        # Keras makes the metrics' variables in the first step, but an epoch that is
        # resumed has values for them before that.
        nothing = tf.zeros((1, task.num_classes))
        with keras.StatelessScope():
            model.compute_metrics(None, nothing, nothing)
    strategies.adopt(model, task.strategy)


@contextlib.contextmanager
def _in_place(task: Task) -> Iterator[None]:
    """Make what is built compute in the recipe's precision, on its devices."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(environment.precision(task.recipe.precision))
    try:
        with task.strategy.scope():
            yield
    finally:
        keras.config.set_dtype_policy(before)
