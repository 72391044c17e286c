"""Pre-training block by block: each learns to classify before the next is added.

Bengio, Lamblin, Popovici, Larochelle: "Greedy Layer-Wise Training of Deep Networks",
NIPS 2006, section 4 (the supervised variant). A temporary head, the global average of
the maps and one dense layer, turns what a block gives into classes; the blocks before
it are frozen. Afterwards the network is trained as a whole, with a head of its own.
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import layers

import models
from models import augmentation, registry
from models.anatomy.walk import anatomy
from training import fit, strategies
from training.progress import EpochProgress
from training.recipe import Recipe


def builder(
    model_name: str, dataset, recipe: Recipe, *, epochs: int, seed: int
) -> "Callable[..., keras.Model]":
    """Return what `training.train.train` takes as `build`, to begin block by block.

    Args:
        model_name: A name in `models.names()`.
        dataset: What will be trained on; what the recipe holds out is held out here.
        recipe: That of the whole training. Its optimiser, batch size and the course
            of its learning rate, over `epochs`, are those of each block.
        epochs: Passes over the training images for each block.
        seed: That of the whole training.

    Raises:
        ValueError: If `epochs` is not at least 1.
    """
    if epochs < 1:
        raise ValueError(
            "Each block must be trained for at least one epoch. "
            f"Received: --pretrain-epochs {epochs}"
        )
    each = dataclasses.replace(
        recipe, epochs=epochs, warmup=min(recipe.warmup, epochs / 2), ema=0.0
    )

    def build(input_shape, policy):
        model = models.build(
            model_name,
            input_shape,
            dataset.num_classes,
            augmentation=policy,
            **recipe.options,
        )
        # In whose scope this is called.
        strategy = tf.distribute.get_strategy()
        task = fit.task_of(model_name, dataset, each, seed, strategy)
        registry.prepare(model_name, model, task.images_at(0))
        pretrain(model, task)
        return model

    return build


def pretrain(model: keras.Model, task: fit.Task) -> None:
    """Train all blocks of a network but the last, one after the other.

    Args:
        model: A functional model, built in the strategy's scope.
        task: What it is trained on, and how each block is.

    Raises:
        ValueError: If the network is a single block, or the loss of one stops being
            a number.
    """
    parts = blocks(model)
    if len(parts) == 1:
        raise ValueError(
            "Pre-training needs a network of several blocks. "
            f"Received: {model.name}, whose one block is {', '.join(parts[0])}"
        )
    free = [layer for layer in model.layers if layer.trainable and layer.weights]
    batches = fit.batches_of(task, 0)
    for layer in free:
        layer.trainable = False
    try:
        for number, names in enumerate(parts[:-1], 1):
            for layer in free:
                layer.trainable = layer.name in names
            if strategies.is_chief(task.strategy):
                learning = [layer.name for layer in free if layer.trainable]
                print(
                    f"pre-training block {number} of {len(parts) - 1}: "
                    f"{', '.join(learning)}",
                    flush=True,
                )
            _fit(_with_head(model, names[-1], task), task, batches)
    finally:
        for layer in free:
            layer.trainable = True


def blocks(model: keras.Model) -> list[list[str]]:
    """Divide a network into blocks.

    A network can be cut behind a layer whose output is all that the layers after it
    get to see: not within a residual block or beside a branch. A block begins with
    the first layer behind a cut that has a kernel to be trained, and ends before the
    next such one; so normalisation, activation and pooling belong to the layer that
    they follow.

    Args:
        model: A functional model.

    Returns:
        The names of each block's layers, in the order in which they are computed;
        the last of a block is the one to cut behind.

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
        # What it takes is used once less, what it gives will be used.
        open_ends += bool(uses[part.name])
        for name in part.inputs:
            uses[name] -= 1
            open_ends -= not uses[name]
        piece.append(part.name)
        if open_ends <= 1:  # the cut, or the network's end
            if not found or (_learns(model, piece) and _learns(model, found[-1])):
                found.append([])
            found[-1] += piece
            piece = []
    inputs = {tensor.name for tensor in model.inputs}
    return [[name for name in block if name not in inputs] for block in found]


def _learns(model: keras.Model, names: list[str]) -> bool:
    """Return whether a kernel among these layers is trained."""
    found = [model.get_layer(name) for name in names]
    return any(each.trainable and hasattr(each, "kernel") for each in found)


def _with_head(model: keras.Model, cut: str, task: fit.Task) -> keras.Model:
    """Return the part of a network up to a layer, with a head on top of it."""
    with task.strategy.scope():
        x = model.get_layer(cut).output
        if len(x.shape) > 2:
            x = layers.GlobalAveragePooling2D(name="pretraining_pool")(x)
        x = layers.Dense(task.num_classes, dtype="float32", name="pretraining")(x)
        return keras.Model(model.inputs, x, name=f"{model.name}_{cut}")


def _fit(model: keras.Model, task: fit.Task, batches) -> None:
    fit.compile_model(task, model)
    strategies.spread_seeds(model, task.strategy)
    callbacks = [
        strategies.Statistics(task.strategy),
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
