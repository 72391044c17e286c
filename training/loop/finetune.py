"""Start training from a run's network: its weights, below a new head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.models import registry
from fovea.models.validation import nearest
from fovea.training.datasets.dataset import Dataset
from fovea.training.runs import directory as runs
from fovea.training.runs.load import load_model

if TYPE_CHECKING:
    import keras

    from fovea.training.loop.fit import Build


def builder(
    source: Path,
    dataset: Dataset,
    options: dict[str, Any],
    freeze_until: str | None = None,
) -> Build:
    """Return the `build` argument of `train.train` that starts from a run.

    The network it builds has the run's weights in all layers whose shape does not
    depend on the number of classes, and new ones in the others: the head.

    Args:
        source: A run directory.
        dataset: The data set to train on.
        options: The options of the run's architecture.
        freeze_until: Name of a layer: neither it nor the layers that it is computed
            from will be trained, nor will their batch statistics change.

    Returns:
        A function of (input_shape, augmentation) that returns a `keras.Model`.

    Raises:
        ValueError: If the run's weights do not fit the size or the channels of the
            images or the options, there is no such layer, or it is in the head.
    """
    from fovea import models
    from fovea.models.anatomy.without_weights import without_weights

    config = runs.read_config(source)
    name, classes = config["model"], dataset.num_classes
    weights = {layer.name: layer.get_weights() for layer in load_model(source).layers}
    # The layers whose shape depends on the number of classes.
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

    def build(
        input_shape: tuple[int, int, int], augmentation: str | None
    ) -> keras.Model:
        model = models.build(
            name, input_shape, classes, augmentation=augmentation, **options
        )
        # Preparing also freezes what an architecture never trains afterwards.
        height, width, _ = input_shape
        registry.prepare(name, model, dataset.x_train[:500, :height, :width])
        for layer in model.layers:
            if not layer.weights or layer.name in head:
                continue
            values = weights.get(layer.name, [])
            if [value.shape for value in values] != _shapes(layer):
                raise ValueError(
                    f"The run's weights do not fit layer {layer.name} of this {name}: "
                    f"they are for images of {_times(config['input_shape'])}, the size "
                    "of images without --image-size and --channels, and for "
                    f"options={config['options']}. Received: images of "
                    f"{_times(input_shape)}, options={options}"
                )
            layer.set_weights(values)
        if freeze_until is not None:
            freeze(model, freeze_until, head)
        return model

    build(dataset.input_shape, None)  # raises its errors before training starts
    return build


def freeze(model: keras.Model, until: str, head: set[str]) -> None:
    """Freeze a layer and all layers that it is computed from.

    Args:
        model: A functional model.
        until: The layer's name.
        head: Names of the layers that must be trained.

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
            f"The head, {', '.join(sorted(head))}, is new and must be trained. "
            f"Received: --freeze-until {until}"
        )
    for layer in layers:
        if layer.weights:
            layer.trainable = False


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
