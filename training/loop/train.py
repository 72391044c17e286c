"""Training a model into a run directory, and going on where it stopped."""

import dataclasses
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fovea.training.recipes import schema as recipes
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs
from fovea.training.runs import environment

# The policy that suits a data set when none is asked for: digits must not be
# mirrored, photographs may.
AUGMENTATION = {
    "mnist": "mnist",
    "mnist_sample": "mnist",
    "fashion_mnist": "cifar_standard",
    "cifar10": "cifar_standard",
}
# Of these the learning rate at a step does not depend on the number of epochs.
OPEN_ENDED = ("constant", "step")


def train(
    model_name: str,
    dataset,
    run: Path,
    recipe: Recipe,
    *,
    seed: int = 0,
    deterministic: bool = False,
    save_every: "int | None" = None,
    strategy: str = "auto",
    tensorboard: bool = False,
    pretrain_epochs: "int | None" = None,
    build: "Callable | None" = None,
    origin: "dict | None" = None,
) -> dict:
    """Train a model and leave a run directory.

    Part of the training images is held out to judge by; the test split is not
    touched. Whatever ends the training early, `resume` goes on from the last whole
    epoch, from the last of `save_every` steps, or from where Ctrl-C came.

    Args:
        model_name: A name in `models.names()`.
        dataset: A `fovea.training.datasets.load.Dataset`.
        run: The run directory, new or empty.
        recipe: The hyper-parameters.
        seed: Of weights, shuffling, augmentation and of which images are held out.
        deterministic: Have TensorFlow give the same weights, bit by bit, whenever
            this is run on this machine. Costs speed, and lasts as long as the process.
        save_every: Steps between checkpoints within an epoch, beside that after it.
        strategy: Over which devices to spread the training; a name in
            `fovea.training.loop.strategies.NAMES`.
        tensorboard: Whether to write TensorBoard's events into the run.
        pretrain_epochs: None, or for how many epochs each block of the network is
            trained alone before the whole: see `fovea.training.loop.layerwise`.
        build: None, or a function of (input_shape, augmentation) that returns the
            network to train instead of a new one. Layers may be frozen in it.
        origin: What config.json is to say of where that network comes from.

    Returns:
        What metrics.json holds: `status` ("complete" or "interrupted"),
        `epochs_completed`, `seconds`, `train` and `validation` figures, `best` of
        the epochs, and, if files could not be written, `not_saved`.

    Raises:
        ValueError: If a value is out of its range, the model or an option is
            unknown, or the loss stops being a number.
        OSError: If the run directory cannot be made.
    """
    _check(seed=seed, save_every=save_every)
    placed, chief = _start(strategy, seed, deterministic)
    if chief:
        runs.check_new(run)
    if recipe.augmentation == "auto":
        own = AUGMENTATION.get(dataset.name, "none")
        recipe = dataclasses.replace(recipe, augmentation=own)
    from fovea.training.loop import checkpoint, fit, layerwise

    task = fit.task_of(model_name, dataset, recipe, seed, placed)
    stage = None
    if pretrain_epochs is not None:
        stage = layerwise.stage_recipe(recipe, pretrain_epochs)
        origin = {"pretrain": "layerwise", "pretrain_epochs": pretrain_epochs}
    model, state = fit.first_state(task, build)
    if stage is not None:
        layerwise.stages(model)  # refuses a network that has none
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
    dataset,
    *,
    epochs: "int | None" = None,
    save_every: "int | None" = None,
    strategy: "str | None" = None,
    tensorboard: bool = False,
) -> dict:
    """Go on with a run that was stopped.

    Everything is as it was: weights, optimiser, averages, random states, the order
    of the images. A deterministic run ends with the weights that it would have had.

    Args:
        run: The run directory.
        dataset: The data set that it was begun with.
        epochs: More than the recipe's, if the learning rate does not depend on it.
        save_every: See `train`.
        strategy: Default: the one that the run was begun with.
        tensorboard: See `train`.

    Returns:
        See `train`; a run that is complete is left as it is.

    Raises:
        ValueError: If it is not a run directory, the checkpoint cannot be read, the
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
    placed, chief = _start(strategy, config["seed"], config["deterministic"])
    from fovea.training.loop import checkpoint, fit, layerwise

    state = checkpoint.read(run / runs.CHECKPOINT)
    stage = None
    if state.blocks is not None:
        stage = layerwise.stage_recipe(recipe, config["pretrain_epochs"])
    if state.epoch > recipe.epochs:
        raise ValueError(
            f"The run has {state.epoch} epochs behind it. Received: epochs={epochs}"
        )
    if chief:
        runs.write_json(run / "config.json", config)
    return _train(
        fit.task_of(config["model"], dataset, recipe, config["seed"], placed),
        state,
        run if chief else None,
        stage,
        save_every=save_every,
        tensorboard=tensorboard,
    )


def _start(strategy: str, seed: int, deterministic: bool):
    """Settle devices and random numbers: (strategy, whether this process writes)."""
    import keras
    import tensorflow as tf

    from fovea.training.loop import strategies

    placed = strategies.resolve(strategy)  # before anything else asks for devices
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    return placed, strategies.is_chief(placed)


def _train(
    task, state, run: "Path | None", stage: "Recipe | None", *, model=None, **settings
) -> dict:
    """Fit, and write metrics.json; returns what is in it.

    With a `stage`, what is left of the blocks is trained before the whole network.
    """
    from fovea.training.evaluation import report
    from fovea.training.loop import fit, layerwise
    from fovea.training.loop.checkpoint_callback import best_row

    if stage is not None:
        model = layerwise.begin(task, state, stage, model, run)
    keeper = fit.fit(task, state, run=run, model=model, **settings)
    early = keeper.status == "complete" and state.epoch < task.recipe.epochs
    if early:
        keeper.save(runs.MODEL, lambda path: runs.copy(path.parent / runs.BEST, path))
    metrics = {
        "status": keeper.status,
        "epochs_completed": state.epoch,
        **({"stopped_early": True} if early else {}),
        "seconds": round(state.seconds, 3),
        "parameters": keeper.judge.model.count_params(),
    }
    best = best_row(state.rows)
    if state.rows and keeper.status != "diverged":
        shown = best if early else state.rows[-1]
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
    if keeper.not_saved:
        metrics["not_saved"] = keeper.not_saved
    keeper.save("metrics.json", lambda path: runs.write_json(path, metrics))
    keeper.save("report.html", lambda path: report.write(path.parent))
    if keeper.not_saved:
        metrics["not_saved"] = keeper.not_saved
    if keeper.status == "diverged":
        rate = task.recipe.learning_rate
        raise ValueError(
            f"The loss stopped being a number in epoch {len(state.rows)}; a smaller "
            f"--learning-rate would help. Received: learning_rate={rate}"
        )
    return metrics


def _environment(model) -> dict:
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


def _identity(dataset) -> dict:
    """Return what config.json says of a data set, enough to recognise it by."""
    checksum = zlib.crc32(np.ascontiguousarray(dataset.x_train))
    checksum = zlib.crc32(np.ascontiguousarray(dataset.y_train), checksum)
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


def _check_same(config: dict, identity: dict) -> None:
    # Where the images were found may have changed.
    for key in ("input_shape", "class_names", "training_images", "training_checksum"):
        if config[key] != identity[key]:
            raise ValueError(
                f"A run goes on with the data set that it was begun with: "
                f"{config['dataset']}, {key} {config[key]}. Received: "
                f"{identity['dataset']}, {key} {identity[key]}"
            )


def _extended(recipe: Recipe, epochs: int) -> Recipe:
    if recipe.schedule not in OPEN_ENDED:
        raise ValueError(
            f"The {recipe.schedule} schedule of this run ends with epoch "
            f"{recipe.epochs}, so that it cannot have another number of epochs now. "
            f"Received: epochs={epochs}"
        )
    return dataclasses.replace(recipe, epochs=epochs)


def _check(*, seed: int, save_every: "int | None") -> None:
    if not 0 <= seed < 2**31:
        raise ValueError(f"seed must be 0 to {2**31 - 1}. Received: seed={seed}")
    if save_every is not None and save_every < 1:
        raise ValueError(
            f"save_every must be at least 1. Received: save_every={save_every}"
        )
