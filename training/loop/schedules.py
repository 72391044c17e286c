"""Learning rates over a run, as functions of the step."""

import math

import keras
from keras import ops

from fovea.training.recipes.schema import Recipe

# Smith's one-cycle policy as PyTorch and fast.ai have it.
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25


@keras.saving.register_keras_serializable(package="fovea")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A rise to the peak, then one of five ways down.

    - constant: none.
    - linear, cosine: to `final` at the last step.
    - step: times `factor` at each of `boundaries`.
    - one_cycle: a half wave up from a 25th of the peak, a half wave down to `final`.

    The others rise in a straight line, the first step being one part of it.

    Args:
        shape: One of these words.
        peak: The highest learning rate.
        steps: Steps of the whole run.
        warmup: Steps of the rise.
        final: Where the way down ends, as a share of the peak.
        boundaries: Steps, ascending.
        factor: What each boundary multiplies by.
    """

    def __init__(
        self,
        shape: str,
        peak: float,
        steps: int,
        *,
        warmup: int = 0,
        final: float = 0.0,
        boundaries: "list[int] | tuple[int, ...]" = (),
        factor: float = 0.1,
    ):
        self.shape = shape
        self.peak = peak
        self.steps = steps
        self.warmup = warmup
        self.final = final
        self.boundaries = list(boundaries)
        self.factor = factor

    def __call__(self, step):
        step = ops.cast(step, "float32")
        # Of what follows the rise, 0 to 1; the step after the last would be at 1.
        done = ops.clip((step - self.warmup) / max(1, self.steps - self.warmup), 0, 1)
        if self.shape == "linear":
            share = self.final + (1 - self.final) * (1 - done)
        elif self.shape in ("cosine", "one_cycle"):
            share = self.final + (1 - self.final) * _half_wave(1 - done)
        elif self.shape == "step":
            passed = sum(ops.cast(step >= at, "float32") for at in self.boundaries)
            share = ops.power(self.factor, passed)
        else:
            share = ops.ones_like(step)
        if self.warmup:
            if self.shape == "one_cycle":
                wave = _half_wave(ops.minimum(step / self.warmup, 1))
                rise = ONE_CYCLE_START + (1 - ONE_CYCLE_START) * wave
            else:
                rise = (step + 1) / self.warmup
            share = ops.where(step < self.warmup, rise, share)
        return self.peak * share

    def get_config(self):
        return {
            "shape": self.shape,
            "peak": self.peak,
            "steps": self.steps,
            "warmup": self.warmup,
            "final": self.final,
            "boundaries": self.boundaries,
            "factor": self.factor,
        }


def of(recipe: Recipe, steps_per_epoch: int) -> Schedule:
    """Return a recipe's schedule.

    Args:
        recipe: Counts in epochs.
        steps_per_epoch: What turns them into steps.
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


def _half_wave(x):
    """Return the smooth rise from 0 at 0 to 1 at 1."""
    return (1 - ops.cos(math.pi * x)) / 2
