"""The model that a run evaluates and saves, with the weights of the trained one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from fovea import models
from fovea.training.loop.optimization import optimizers
from fovea.training.runs import environment

if TYPE_CHECKING:
    from fovea.training.loop.task import Task

BATCH_SIZE = 500


class ValidationModel:
    """The network as it is served, with the weights of the one being trained.

    It is a plain functional model without augmentation layers, takes images of full
    size, computes in float32, and has the averaged weights if the recipe averages.

    Args:
        task: What is trained.
    """

    def __init__(self, task: Task):
        self.model = models.build(
            task.model, task.input_shape, task.num_classes, **task.recipe.options
        )
        self.model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=environment.xla(task.recipe.xla),
        )
        images, labels = task.held_out
        self.held_out = (
            tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH_SIZE)
            if len(images)
            else None
        )

    def copy_weights(self, model: keras.Model) -> None:
        """Copy the weights, or their averages, of the model being trained."""
        averages = optimizers.averages(model)
        self.model.set_weights(
            [
                keras.ops.convert_to_numpy(averages.get(id(weight), weight))
                for weight in model.weights
            ]
        )

    def evaluate(self) -> dict[str, float]:
        """Return val_loss and val_accuracy; an empty dict without held-out images."""
        if self.held_out is None:
            return {}
        metrics = self.model.evaluate(self.held_out, verbose=0, return_dict=True)
        return {f"val_{name}": metrics[name] for name in ("loss", "accuracy")}
