"""`fovea finetune`: go on from a trained network, with other images and classes."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.models import backend, registry
from fovea.models.validation import nearest
from fovea.training.commands import train as train_command
from fovea.training.datasets import load
from fovea.training.recipes import files
from fovea.training.recipes import schema as recipes
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained
from fovea.training.runs.load import load_model

if TYPE_CHECKING:
    import keras

# Half of what networks are trained with from the beginning: what was learned is to
# be changed, not to be forgotten.
LEARNING_RATE = 1e-3


def body(
    source: Path, dataset, options: dict, freeze_until: "str | None" = None
) -> "Callable[..., keras.Model]":
    """Return what `loop.train.train` takes as `build`, to start from a run.

    The network it builds has the run's weights in all layers whose shape does not
    depend on the number of classes, and new ones in the others: the head.

    Args:
        source: A run directory.
        dataset: What will be trained on.
        options: Of the run's architecture.
        freeze_until: Name of a layer: neither it nor the layers that it is computed
            from will be trained, nor will their batch statistics change.

    Raises:
        ValueError: If the run's weights do not fit the size or the channels of the
            images or the options, there is no such layer, or it is in the head.
    """
    from fovea import models
    from fovea.models.anatomy.without_weights import without_weights

    config = runs.read_config(source)
    name, classes = config["model"], dataset.num_classes
    weights = {layer.name: layer.get_weights() for layer in load_model(source).layers}
    with without_weights():
        one, other = (
            models.build(name, dataset.input_shape, count, **options)
            for count in (classes, classes + 1)
        )
    head = {
        layer.name
        for layer in one.layers
        if _shapes(layer) != _shapes(other.get_layer(layer.name))
    }

    def build(input_shape, augmentation):
        model = models.build(
            name, input_shape, classes, augmentation=augmentation, **options
        )
        # What an architecture never trains after its preparation is frozen here, too.
        height, width, _ = input_shape
        registry.prepare(name, model, dataset.x_train[:500, :height, :width])
        for layer in model.layers:
            if not layer.weights or layer.name in head:
                continue
            values = weights.get(layer.name, [])
            if [value.shape for value in values] != _shapes(layer):
                raise ValueError(
                    f"The run's weights do not fit layer {layer.name} of this {name}: "
                    f"they are for images of {_times(config['input_shape'])}, to which "
                    "images are brought without --image-size and --channels, and for "
                    f"options={config['options']}. Received: images of "
                    f"{_times(input_shape)}, options={options}"
                )
            layer.set_weights(values)
        if freeze_until is not None:
            freeze(model, freeze_until, head)
        return model

    build(dataset.input_shape, None)  # what cannot be is said now
    return build


def freeze(model: "keras.Model", until: str, head: "set[str]") -> None:
    """Keep a layer, and all that it is computed from, from being trained.

    Args:
        model: A functional model.
        until: The layer's name.
        head: Names of the layers that have to be trained.

    Raises:
        ValueError: If there is no such layer, or a layer of the head would be frozen.
    """
    import keras

    known = [layer.name for layer in model.layers if layer.weights]
    if until not in [layer.name for layer in model.layers]:
        raise ValueError(
            f"{model.name} has no such layer{nearest(until, known)}; its "
            f"layers with weights are {', '.join(known)}. "
            f"Received: --freeze-until {until}"
        )
    layers = keras.Model(model.inputs, model.get_layer(until).output).layers
    if head & {layer.name for layer in layers}:
        raise ValueError(
            f"The head, {', '.join(sorted(head))}, is new and has to be trained. "
            f"Received: --freeze-until {until}"
        )
    for layer in layers:
        if layer.weights:
            layer.trainable = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="RUN",
        help="the run to start from, or pretrained:NAME",
    )
    load.add_data_arguments(parser)
    parser.add_argument(
        "--freeze-until",
        metavar="LAYER",
        help="do not train this layer nor those before it (default: train all)",
    )
    train_command.add_training_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return the exit code, see `train`."""
    pairs = train_command.settings(args)
    source = pretrained.locate(args.source)
    config = runs.read_config(source)
    name = config["model"]
    backend.prepare(args.debug)  # to know an architecture's options takes Keras
    if args.recipe is not None:
        chosen = files.load(name, args.dataset, args.recipe)
    else:
        plain = name in recipes.PLAIN
        rate = recipes.PLAIN_LEARNING_RATE if plain else LEARNING_RATE
        chosen = Recipe(learning_rate=rate)
    # A recipe's own options would make it another network.
    chosen = dataclasses.replace(chosen, options=config["options"])
    chosen = recipes.with_settings(chosen, name, pairs)
    from fovea.training.loop import strategies
    from fovea.training.loop.train import train

    strategies.resolve(args.strategy or "auto")  # before devices are used
    resized = args.image_size is not None or args.channels is not None
    shape = None if resized else tuple(config["input_shape"])
    dataset = load.from_arguments(args, shape)
    build = body(source, dataset, chosen.options, args.freeze_until)
    directory = args.run or runs.default_path(name, load.short_name(dataset.name))
    print(
        f"{name} of {args.source} on {dataset.name} ({dataset.source})"
        + (f", frozen until {args.freeze_until}" if args.freeze_until else "")
    )
    origin = {
        "finetuned_from": {
            "run": str(args.source),
            "dataset": config["dataset"],
            "freeze_until": args.freeze_until,
        }
    }
    keywords = train_command.keywords(args)
    metrics = train(
        name, dataset, directory, chosen, build=build, origin=origin, **keywords
    )
    return train_command.tell(directory, metrics)


def _shapes(layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _times(shape) -> str:
    return " x ".join(map(str, shape))
