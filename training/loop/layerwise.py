"""Layer-wise pre-training: each block learns to classify before the next is added.

Bengio, Lamblin, Popovici, Larochelle: "Greedy Layer-Wise Training of Deep Networks",
NIPS 2006, section 4 (the supervised variant). A temporary head, the global average of
the maps and one dense layer, classifies by the output of a block; the blocks before it
are frozen. Afterwards the network is trained as a whole, with a head of its own.
"""

import contextlib
import dataclasses
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
from keras import layers

from fovea.models import augmentation
from fovea.models.anatomy.walk import anatomy
from fovea.training.loop import checkpoint, fit
from fovea.training.loop.batches import Batches
from fovea.training.loop.checkpoint import State
from fovea.training.loop.distribution import multi_device, strategies
from fovea.training.loop.progress import EpochProgress
from fovea.training.loop.task import Task
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs


def stage_recipe(recipe: Recipe, epochs: int) -> Recipe:
    """Return the recipe that each block is trained with.

    Args:
        recipe: The recipe of the whole training. Each block has its optimiser, its
            batch size and, over `epochs`, the course of its learning rate.
        epochs: Passes over the training images for each block.

    Raises:
        ValueError: If `epochs` is not at least 1.
    """
    if epochs < 1:
        raise ValueError(
            "Each block must be trained for at least one epoch. "
            f"Received: --pretrain-epochs {epochs}"
        )
    return dataclasses.replace(
        recipe, epochs=epochs, warmup=min(recipe.warmup, epochs / 2), ema=0.0
    )


def stages(model: keras.Model) -> list[list[str]]:
    """Return the blocks that are trained before the whole: all but the last.

    Raises:
        ValueError: If the network is a single block.
    """
    parts = blocks(model)
    if len(parts) == 1:
        raise ValueError(
            "Pre-training needs a network of several blocks. "
            f"Received: {model.name}, whose one block is {', '.join(parts[0])}"
        )
    return parts[:-1]


def finish_pretraining(
    task: Task,
    state: State,
    stage: Recipe,
    model: keras.Model | None,
    run: Path | None,
) -> keras.Model:
    """Train the remaining blocks of a run, with a checkpoint after each.

    Args:
        task: What will be trained as a whole afterwards.
        state: The state of the run, with `blocks` trained; kept up to date.
        stage: The recipe of each block.
        model: The network that the state was captured from, if there is one.
        run: The run directory; None in a process that does not write.

    Returns:
        The network in the updated state, ready to be trained as a whole.

    Raises:
        ValueError: If the loss of a block stops being a number.
        OSError: If the run directory cannot be written.
    """
    if model is None:
        model = fit.rebuild(task, state, 0)
        state.restore(model)

    def save(done: int | None) -> None:
        state.blocks = done
        state.capture(model)
        if run is not None:
            checkpoint.write(run / runs.CHECKPOINT, state)

    with strategies.reporting_lost_workers(task.strategy):
        each = dataclasses.replace(task, recipe=stage)
        pretrain(model, each, done=state.blocks or 0, after_block=save)
        fit.compile_model(task, model)  # averages of weights begin from here
        save(None)
    return model


def pretrain(
    model: keras.Model,
    task: Task,
    *,
    done: int = 0,
    after_block: Callable[[int], None] = lambda done: None,
) -> None:
    """Train all blocks of a network but the last, one after the other.

    Args:
        model: A functional model, built in the strategy's scope.
        task: What it is trained on, with the recipe that `stage_recipe` returned.
        done: Number of blocks that were trained before.
        after_block: Called after each block with the number of trained blocks.

    Raises:
        ValueError: If the network is a single block, or the loss of one stops being
            a number.
    """
    parts = stages(model)
    batches = fit.make_batches(task, 0)
    for number, names in enumerate(parts[done:], done + 1):
        with _only_trainable(model, names) as trained:
            if strategies.is_chief(task.strategy):
                print(
                    f"pre-training block {number} of {len(parts)}: "
                    f"{', '.join(trained)}",
                    flush=True,
                )
            _fit(_with_head(model, names[-1], task), task, batches)
        after_block(number)


@contextlib.contextmanager
def _only_trainable(model: keras.Model, names: list[str]) -> Iterator[list[str]]:
    """Freeze all layers but these; yield the names of those with trained weights."""
    free = [layer for layer in model.layers if layer.trainable and layer.weights]
    try:
        for layer in free:
            layer.trainable = layer.name in names
        yield [layer.name for layer in free if layer.trainable]
    finally:
        for layer in free:
            layer.trainable = True


def blocks(model: keras.Model) -> list[list[str]]:
    """Divide a network into blocks.

    A network can be cut behind a layer whose output is the only input of the layers
    after it: not within a residual block or beside a branch. A block begins with the
    first layer behind a cut that has a trainable kernel, and ends before the next
    such layer, so that normalisation, activation and pooling belong to the layer that
    they follow.

    Args:
        model: A functional model.

    Returns:
        The names of each block's layers, in the order in which they are computed;
        the network is cut behind the last one of a block.

    Example:
    ```python
    blocks(models.build("lenet5", (28, 28, 1), 10))
    # [["c1", "s2"], ["c3", "s4"], ["c5", "flatten"], ["f6"], ["logits"]]
    ```
    """
    parts = anatomy(model).layers
    uses = {part.name: 0 for part in parts}
    for part in parts:
        for name in part.inputs:
            uses[name] += 1
    found: list[list[str]] = []
    piece: list[str] = []
    open_ends = 0
    for part in parts:
        # Its inputs have one use less, its output has all of them ahead.
        open_ends += bool(uses[part.name])
        for name in part.inputs:
            uses[name] -= 1
            open_ends -= not uses[name]
        piece.append(part.name)
        if open_ends <= 1:  # the cut, or the network's end
            if not found or (
                _has_kernel(model, piece) and _has_kernel(model, found[-1])
            ):
                found.append([])
            found[-1] += piece
            piece = []
    inputs = {tensor.name for tensor in model.inputs}
    return [[name for name in block if name not in inputs] for block in found]


def _has_kernel(model: keras.Model, names: list[str]) -> bool:
    """Return whether one of these layers has a trainable kernel."""
    found = [model.get_layer(name) for name in names]
    return any(each.trainable and hasattr(each, "kernel") for each in found)


def _with_head(model: keras.Model, cut: str, task: Task) -> keras.Model:
    """Return the part of a network up to a layer, with a head on top of it."""
    with task.strategy.scope():
        x = model.get_layer(cut).output
        if len(x.shape) > 2:
            x = layers.GlobalAveragePooling2D(name="pretraining_pool")(x)
        # The seed depends on the block alone, so that a resumed run draws the same
        # weights.
        seed = (task.seed + zlib.crc32(cut.encode())) % 2**31
        x = layers.Dense(
            task.num_classes,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype="float32",
            name="pretraining",
        )(x)
        part = keras.Model(model.inputs, x, name=f"{model.name}_{cut}")
        return multi_device.trainable(part, task.strategy)


def _fit(model: keras.Model, task: Task, batches: Batches) -> None:
    fit.compile_model(task, model)
    strategies.spread_seeds(model, task.strategy)
    callbacks = [
        strategies.AverageStatistics(task.strategy),
        augmentation.AlternateFlips(),
        keras.callbacks.TerminateOnNaN(),
    ]
    progress = None
    if strategies.is_chief(task.strategy):
        progress = EpochProgress(
            task.recipe.batch_size, batches.steps_per_epoch, task.recipe.epochs, 0
        )
        callbacks.append(progress)
    try:
        model.fit(
            batches.distributed(task.strategy, 0, task.recipe.epochs),
            epochs=task.recipe.epochs,
            steps_per_epoch=batches.steps_per_epoch,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
    finally:
        if progress is not None:
            progress.close()
