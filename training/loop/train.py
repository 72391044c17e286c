"""Train a model into a run directory, and resume a run that was stopped."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.training.datasets.dataset import Dataset
from fovea.training.loop.task import make_task
from fovea.training.recipes import schema as recipes
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs
from fovea.training.runs import environment

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from fovea.training.loop.checkpoint import State
    from fovea.training.loop.fit import Build
    from fovea.training.loop.task import Task

# The data sets' own policies, for augmentation=auto: digits must not be mirrored,
# photographs may.
AUGMENTATION = {
    "mnist": "mnist",
    "mnist_sample": "mnist",
    "fashion_mnist": "cifar_standard",
    "cifar10": "cifar_standard",
}
# Schedules whose learning rate at a step does not depend on the number of epochs.
OPEN_ENDED = ("constant", "step")


def train(
    model_name: str,
    dataset: Dataset,
    run: Path,
    recipe: Recipe,
    *,
    seed: int = 0,
    deterministic: bool = False,
    save_every: int | None = None,
    strategy: str = "auto",
    tensorboard: bool = False,
    pretrain_epochs: int | None = None,
    build: Build | None = None,
    origin: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train a model into a new run directory.

    Part of the training images is held out for validation; the test split is not
    used. Whatever ends the training early, `resume` continues from the last completed
    epoch, from the last of `save_every` steps, or from the step of the Ctrl-C.

    Args:
        model_name: A name in `models.names()`.
        dataset: The data set.
        run: The run directory, new or empty.
        recipe: The hyper-parameters.
        seed: Of weights, shuffling, augmentation and the choice of held-out images.
        deterministic: Whether repeated runs on one machine give bitwise the same
            weights. Slower, and in effect until the process ends.
        save_every: Steps between checkpoints within an epoch, beside that after it.
        strategy: The devices to train on; a name in
            `fovea.training.loop.distribution.strategies.NAMES`.
        tensorboard: Whether to write TensorBoard's events into the run.
        pretrain_epochs: Epochs for which each block of the network is trained alone
            before the whole, see `fovea.training.loop.layerwise`; None: no
            pre-training.
        build: Builds the network to train, in which layers may be frozen; None for a
            new network.
        origin: Keys for config.json that record where that network comes from.

    Returns:
        The content of metrics.json: `status` ("complete" or "interrupted"),
        `epochs_completed`, `seconds`, `train` and `validation` metrics, the `best`
        epoch, and, if files could not be written, `not_saved`.

    Raises:
        ValueError: If a value is out of its range, the model or an option is
            unknown, or the loss is no longer finite.
        OSError: If the run directory cannot be made.
    """
    _check(seed=seed, save_every=save_every)
    devices, chief = _start(strategy, seed, deterministic)
    if chief:
        runs.check_new(run)
    if recipe.augmentation == "auto":
        policy = AUGMENTATION.get(dataset.name, "none")
        recipe = dataclasses.replace(recipe, augmentation=policy)
    from fovea.training.loop import checkpoint, fit, layerwise

    task = make_task(model_name, dataset, recipe, seed, devices)
    stage = None
    if pretrain_epochs is not None:
        stage = layerwise.stage_recipe(recipe, pretrain_epochs)
        origin = {"pretrain": "layerwise", "pretrain_epochs": pretrain_epochs}
    model, state = fit.initial_state(task, build)
    if stage is not None:
        layerwise.stages(model)  # raises for a network of one block
        state.blocks = 0
    config = {
        "model": model_name,
        "options": recipe.options,
        **_identity(dataset),
        "seed": seed,
        "deterministic": deterministic,
        "strategy": strategy,
        "recipe": recipe.to_dict(),
        **(origin or {}),
    }
    if chief:
        with runs.create(run) as partial:
            runs.write_json(partial / "config.json", config)
            runs.write_json(partial / "environment.json", _environment(model))
            checkpoint.write(partial / runs.CHECKPOINT, state)
    return _train(
        task,
        state,
        run if chief else None,
        stage,
        model=model,
        save_every=save_every,
        tensorboard=tensorboard,
    )


def resume(
    run: Path,
    dataset: Dataset,
    *,
    epochs: int | None = None,
    save_every: int | None = None,
    strategy: str | None = None,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Resume a run that was stopped.

    Weights, optimiser, averages, random states and the order of the images are those
    of the checkpoint. A deterministic run ends with the weights that it would have
    had without the stop.

    Args:
        run: The run directory.
        dataset: The data set that the run was started with.
        epochs: A larger number of epochs than the recipe's, for schedules that do not
            depend on it.
        save_every: See `train`.
        strategy: Default: the strategy that the run was started with.
        tensorboard: See `train`.

    Returns:
        See `train`; a complete run is not changed.

    Raises:
        ValueError: If `run` is not a run directory, the checkpoint cannot be read, the
            data set is another one, or `epochs` is not possible; see also `train`.
    """
    _check(seed=0, save_every=save_every)
    config = runs.read_config(run)
    recipe = recipes.from_dict(config["recipe"])
    _check_same(config, _identity(dataset))
    if epochs is not None and epochs != recipe.epochs:
        recipe = _extended(recipe, epochs)
        config["recipe"] = recipe.to_dict()
    metrics = runs.read_metrics(run)
    ended = metrics.get("epochs_completed") == recipe.epochs
    if metrics.get("status") == "complete" and (ended or "stopped_early" in metrics):
        return metrics
    strategy = strategy or config["strategy"]
    devices, chief = _start(strategy, config["seed"], config["deterministic"])
    from fovea.training.loop import checkpoint, layerwise

    state = checkpoint.read(run / runs.CHECKPOINT)
    stage = None
    if state.blocks is not None:
        stage = layerwise.stage_recipe(recipe, config["pretrain_epochs"])
    if state.epoch > recipe.epochs:
        raise ValueError(
            f"The run has completed {state.epoch} epochs. Received: epochs={epochs}"
        )
    if chief:
        runs.write_json(run / "config.json", config)
    return _train(
        make_task(config["model"], dataset, recipe, config["seed"], devices),
        state,
        run if chief else None,
        stage,
        save_every=save_every,
        tensorboard=tensorboard,
    )


def _start(
    strategy: str, seed: int, deterministic: bool
) -> tuple[tf.distribute.Strategy, bool]:
    """Set up devices and random numbers.

    Returns:
        The strategy, and whether this process is the one that writes the run.
    """
    import keras
    import tensorflow as tf

    from fovea.training.loop.distribution import strategies

    devices = strategies.resolve(strategy)  # before anything else uses devices
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    return devices, strategies.is_chief(devices)


def _train(
    task: Task,
    state: State,
    run: Path | None,
    stage: Recipe | None,
    *,
    model: keras.Model | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Fit and write metrics.json; return its content.

    With a `stage`, the remaining blocks are trained before the whole network.
    """
    from fovea.training.evaluation import report
    from fovea.training.loop import fit, layerwise
    from fovea.training.loop.checkpoint_callback import best_row

    if stage is not None:
        model = layerwise.finish_pretraining(task, state, stage, model, run)
    saving = fit.fit(task, state, run=run, model=model, **settings)
    early = saving.status == "complete" and state.epoch < task.recipe.epochs
    if early:
        saving.save(runs.MODEL, lambda path: runs.copy(path.parent / runs.BEST, path))
    metrics: dict[str, Any] = {
        "status": saving.status,
        "epochs_completed": state.epoch,
        **({"stopped_early": True} if early else {}),
        "seconds": round(state.seconds, 3),
        "parameters": saving.validation_model.model.count_params(),
    }
    best = best_row(state.rows)
    if state.rows and saving.status != "diverged":
        shown = best if early and best else state.rows[-1]
        metrics["train"] = {key: shown[key] for key in ("loss", "accuracy")}
        if best:
            metrics["validation"] = {
                "images": len(task.held_out[0]),
                "loss": shown["val_loss"],
                "accuracy": shown["val_accuracy"],
            }
            metrics["best"] = {
                "epoch": best["epoch"],
                "accuracy": best["val_accuracy"],
            }
    if saving.not_saved:
        metrics["not_saved"] = saving.not_saved
    saving.save("metrics.json", lambda path: runs.write_json(path, metrics))
    saving.save(report.FILE, lambda path: report.write(path.parent))
    if saving.not_saved:
        metrics["not_saved"] = saving.not_saved
    if saving.status == "diverged":
        rate = task.recipe.learning_rate
        raise ValueError(
            f"The loss was not finite in epoch {len(state.rows)}; a smaller "
            f"--learning-rate may help. Received: learning_rate={rate}"
        )
    return metrics


def _environment(model: keras.Model) -> dict[str, Any]:
    from fovea.models.layers.conv_2d import Conv2D

    convolutions = [layer for layer in model.layers if isinstance(layer, Conv2D)]
    return {
        **environment.describe(),
        "precision": model.dtype_policy.name,
        "xla": bool(model.jit_compile),
        "replicas": model.distribute_strategy.num_replicas_in_sync,
        "winograd": [
            layer.name for layer in convolutions if layer.uses_winograd(layer.input)
        ],
    }


def _identity(dataset: Dataset) -> dict[str, Any]:
    """Return the keys of config.json that identify a data set."""
    checksum = zlib.crc32(np.ascontiguousarray(dataset.x_train).data)
    checksum = zlib.crc32(np.ascontiguousarray(dataset.y_train).data, checksum)
    return {
        "dataset": dataset.name,
        "data_source": dataset.source,
        "input_shape": list(dataset.input_shape),
        "num_classes": dataset.num_classes,
        "class_names": list(dataset.class_names),
        "training_images": len(dataset.x_train),
        "training_checksum": f"{checksum:08x}",
        "skipped_images": dataset.skipped,
    }


def _check_same(config: dict[str, Any], identity: dict[str, Any]) -> None:
    # The path of the images may have changed.
    for key in ("input_shape", "class_names", "training_images", "training_checksum"):
        if config[key] != identity[key]:
            raise ValueError(
                f"A run is resumed with the data set that it was started with: "
                f"{config['dataset']}, {key} {config[key]}. Received: "
                f"{identity['dataset']}, {key} {identity[key]}"
            )


def _extended(recipe: Recipe, epochs: int) -> Recipe:
    if recipe.schedule not in OPEN_ENDED:
        raise ValueError(
            f"The {recipe.schedule} schedule of this run ends with epoch "
            f"{recipe.epochs}; its number of epochs cannot change. "
            f"Received: epochs={epochs}"
        )
    return dataclasses.replace(recipe, epochs=epochs)


def _check(*, seed: int, save_every: int | None) -> None:
    if not 0 <= seed < 2**31:
        raise ValueError(f"seed must be 0 to {2**31 - 1}. Received: seed={seed}")
    if save_every is not None and save_every < 1:
        raise ValueError(
            f"save_every must be at least 1. Received: save_every={save_every}"
        )
