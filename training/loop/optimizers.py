"""The optimiser that a recipe asks for."""

import keras

from fovea.training.loop import schedules
from fovea.training.recipes.schema import Recipe

# Weight decay is for kernels: shrinking biases or the scales of normalisations
# makes a network neither simpler nor better. What Keras takes is a pattern of names
# to leave out.
NO_KERNEL = "^(?!.*kernel)"


def build(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Return a new optimiser with the recipe's schedule.

    Args:
        recipe: The recipe.
        steps_per_epoch: Steps in an epoch.
    """
    shared = {
        "learning_rate": schedules.of(recipe, steps_per_epoch),
        "weight_decay": recipe.weight_decay or None,
        "global_clipnorm": recipe.clip_norm or None,
        "use_ema": recipe.ema > 0,
        "ema_momentum": recipe.ema,
    }
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            momentum=recipe.momentum, nesterov=True, **shared
        )
    elif recipe.optimizer == "muon":
        from fovea.training.loop.muon import Muon

        optimizer = Muon(
            momentum=recipe.momentum,
            dense_factor=recipe.dense_factor,
            vector_factor=recipe.vector_factor,
            other_momentum=recipe.other_momentum,
            unit_filters=recipe.unit_filters,
            **shared,
        )
    else:
        kind = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
        optimizer = kind[recipe.optimizer](**shared)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=[NO_KERNEL])
    return optimizer


def averages(model: keras.Model) -> "dict[int, keras.Variable]":
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
