"""The model that a run is judged by, and that it leaves behind."""

import keras
import tensorflow as tf

from fovea import models
from fovea.training.loop import optimizers
from fovea.training.runs import environment

BATCH_SIZE = 500


class Judge:
    """The network as it will answer, with the weights of the one being trained.

    It has no augmentation layers, takes images of full size, computes in float32,
    and has the averaged weights where the recipe averages.

    Args:
        task: What is trained; see `fovea.training.loop.fit.Task`.
    """

    def __init__(self, task):
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

    def take(self, model: keras.Model) -> None:
        """Take over the weights of the model being trained."""
        averages = optimizers.averages(model)
        self.model.set_weights(
            [
                keras.ops.convert_to_numpy(averages.get(id(weight), weight))
                for weight in model.weights
            ]
        )

    def measure(self) -> dict[str, float]:
        """Return val_loss and val_accuracy; nothing without held-out images."""
        if self.held_out is None:
            return {}
        figures = self.model.evaluate(self.held_out, verbose=0, return_dict=True)
        return {f"val_{name}": figures[name] for name in ("loss", "accuracy")}
