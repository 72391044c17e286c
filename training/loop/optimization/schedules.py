"""Learning-rate schedules: the learning rate as a function of the step."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from fovea.training.recipes.schema import Recipe

# Smith's one-cycle policy with the values of PyTorch and fast.ai.
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25


@keras.saving.register_keras_serializable(package="fovea")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A warm-up to the peak, then one of five decays.

    - constant: none.
    - linear, cosine: to `final` at the last step.
    - step: multiplied by `factor` at each of `boundaries`.
    - one_cycle: a half cosine up from a 25th of the peak, a half cosine down to
      `final`.

    The warm-up of the others is linear; its first step is not at 0.

    Args:
        shape: One of these names.
        peak: The highest learning rate.
        steps: Steps of the whole run.
        warmup: Steps of the warm-up.
        final: The last learning rate, as a share of the peak.
        boundaries: Steps, ascending.
        factor: Factor at each boundary.
    """

    def __init__(
        self,
        shape: str,
        peak: float,
        steps: int,
        *,
        warmup: int = 0,
        final: float = 0.0,
        boundaries: Sequence[int] = (),
        factor: float = 0.1,
    ):
        self.shape = shape
        self.peak = peak
        self.steps = steps
        self.warmup = warmup
        self.final = final
        self.boundaries = list(boundaries)
        self.factor = factor

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step, counted from 0."""
        step = ops.cast(step, "float32")
        # Share of the decay, 0 to 1; the step after the last would be at 1.
        done = ops.clip((step - self.warmup) / max(1, self.steps - self.warmup), 0, 1)
        if self.shape == "linear":
            share = self.final + (1 - self.final) * (1 - done)
        elif self.shape in ("cosine", "one_cycle"):
            share = self.final + (1 - self.final) * _half_cosine(1 - done)
        elif self.shape == "step":
            passed = sum(ops.cast(step >= at, "float32") for at in self.boundaries)
            share = ops.power(self.factor, passed)
        else:
            share = ops.ones_like(step)
        if self.warmup:
            if self.shape == "one_cycle":
                wave = _half_cosine(ops.minimum(step / self.warmup, 1))
                rise = ONE_CYCLE_START + (1 - ONE_CYCLE_START) * wave
            else:
                rise = (step + 1) / self.warmup
            share = ops.where(step < self.warmup, rise, share)
        return self.peak * share

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "shape": self.shape,
            "peak": self.peak,
            "steps": self.steps,
            "warmup": self.warmup,
            "final": self.final,
            "boundaries": self.boundaries,
            "factor": self.factor,
        }


def from_recipe(recipe: Recipe, steps_per_epoch: int) -> Schedule:
    """Return a recipe's schedule.

    Args:
        recipe: The recipe, which counts in epochs.
        steps_per_epoch: Steps in an epoch.
    """
    warmup = recipe.warmup
    if recipe.schedule == "one_cycle" and not warmup:
        warmup = ONE_CYCLE_RISE * recipe.epochs
    return Schedule(
        recipe.schedule,
        recipe.learning_rate,
        recipe.epochs * steps_per_epoch,
        warmup=round(warmup * steps_per_epoch),
        final=recipe.final_learning_rate,
        boundaries=[epoch * steps_per_epoch for epoch in recipe.step_epochs],
        factor=recipe.step_factor,
    )


def _half_cosine(x: Any) -> Any:
    """Return the smooth rise from 0 at 0 to 1 at 1."""
    return (1 - ops.cos(math.pi * x)) / 2
