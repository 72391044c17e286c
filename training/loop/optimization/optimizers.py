"""The optimiser of a recipe."""

from typing import Any

import keras

from fovea.training.loop.distribution import multi_device
from fovea.training.loop.optimization import schedules
from fovea.training.loop.optimization.muon import Muon
from fovea.training.recipes.schema import Recipe

CLASSES = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "muon": Muon,
}
# Weight decay is for kernels: shrinking biases or the scales of normalisations
# makes a network neither simpler nor better. Keras takes a pattern of names to leave
# out.
NO_KERNEL = "^(?!.*kernel)"


def build(
    recipe: Recipe, steps_per_epoch: int, *, replicas: int = 1
) -> keras.optimizers.Optimizer:
    """Return a new optimiser with the recipe's schedule.

    Args:
        recipe: The recipe.
        steps_per_epoch: Steps in an epoch.
        replicas: Number of devices that share a step.
    """
    optimizer_class = CLASSES[recipe.optimizer]
    settings: dict[str, Any] = {
        "learning_rate": schedules.from_recipe(recipe, steps_per_epoch),
        "weight_decay": recipe.weight_decay or None,
        "use_ema": recipe.ema > 0,
        "ema_momentum": recipe.ema,
    }
    if recipe.clip_norm and replicas > 1:
        optimizer_class = multi_device.with_summed_clipping(optimizer_class)
        settings["summed_clipnorm"] = recipe.clip_norm
    else:
        settings["global_clipnorm"] = recipe.clip_norm or None
    if recipe.optimizer == "sgd":
        settings |= {"momentum": recipe.momentum, "nesterov": True}
    elif recipe.optimizer == "muon":
        settings |= {
            "momentum": recipe.momentum,
            "dense_factor": recipe.dense_factor,
            "vector_factor": recipe.vector_factor,
            "other_momentum": recipe.other_momentum,
            "unit_filters": recipe.unit_filters,
        }
    optimizer = optimizer_class(**settings)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=[NO_KERNEL])
    return optimizer


def averages(model: keras.Model) -> dict[int, keras.Variable]:
    """Return the running average of each weight that has one, by the weight's id.

    Args:
        model: A compiled model whose optimiser is built.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        return {}
    # Keras' own SwapEMAWeights finds them in the same way.
    pairs = zip(
        model.trainable_variables,
        optimizer._model_variables_moving_average,
        strict=True,
    )
    return {id(variable): average for variable, average in pairs}
