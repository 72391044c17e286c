"""Learning rates over a run, and the effect of an optimiser's settings."""

import math

import keras
import numpy as np
import pytest

from fovea.training.loop.optimization import optimizers, schedules
from fovea.training.recipes.schema import Recipe

STEPS = 10  # in an epoch


def rates(**values):
    schedule = schedules.from_recipe(
        Recipe(epochs=10, learning_rate=2.0, **values), STEPS
    )
    return np.array([float(schedule(step)) for step in range(100)])


def test_constant():
    assert set(rates(schedule="constant")) == {2.0}


def test_linear_ends_at_the_final_rate():
    np.testing.assert_allclose(
        rates(schedule="linear", final_learning_rate=0.1),
        [2 * (0.1 + 0.9 * (1 - step / 100)) for step in range(100)],
        rtol=1e-6,
    )


def test_cosine_is_keras_s():
    theirs = keras.optimizers.schedules.CosineDecay(2.0, 100)
    np.testing.assert_allclose(
        rates(schedule="cosine"), [float(theirs(s)) for s in range(100)], atol=1e-6
    )


def test_step_steps_down_at_its_epochs():
    np.testing.assert_allclose(
        rates(schedule="step", step_epochs=[3, 6], step_factor=0.5),
        [2.0] * 30 + [1.0] * 30 + [0.5] * 40,
    )


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_warm_up_is_a_line_to_the_peak(schedule):
    found = rates(schedule=schedule, warmup=2.5)
    np.testing.assert_allclose(found[:25], 2 * np.arange(1, 26) / 25, rtol=1e-6)
    assert found[25] == 2.0
    assert (np.diff(found[25:]) <= 0).all()


def test_one_cycle_is_pytorch_s():
    found = rates(schedule="one_cycle")
    # torch.optim.lr_scheduler.OneCycleLR(max_lr=2, pct_start=0.3, div_factor=25)
    # begins at 0.08, is at its peak after 30 %, and half-way between in the middle.
    np.testing.assert_allclose(found[[0, 15, 30]], [0.08, 1.04, 2.0], rtol=1e-5)
    assert found[65] == pytest.approx(1.0)  # half-way down to 0
    assert found[99] == pytest.approx(1 - math.cos(math.pi / 70), rel=1e-3)
    assert rates(schedule="one_cycle", warmup=5)[50] == 2.0


def test_a_schedule_can_be_saved():
    one = schedules.from_recipe(
        Recipe(schedule="step", step_epochs=[2], warmup=1), STEPS
    )
    config = keras.optimizers.schedules.serialize(one)
    again = keras.optimizers.schedules.deserialize(config)
    assert again.get_config() == one.get_config()
    assert float(again(25)) == float(one(25))


def small_model(recipe):
    model = keras.Sequential(
        [
            keras.layers.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, bias_initializer="ones"),
            keras.layers.BatchNormalization(beta_initializer="ones"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, bias_initializer="ones"),
        ]
    )
    model.compile(optimizer=optimizers.build(recipe, STEPS), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def step(model, gradients):
    """Take a step; return the trainable weights before and after it."""
    before = [weight.numpy() for weight in model.trainable_variables]
    model.optimizer.apply(
        [np.float32(gradient) for gradient in gradients], model.trainable_variables
    )
    return before, [weight.numpy() for weight in model.trainable_variables]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_weight_decay_is_for_kernels_only(optimizer):
    recipe = Recipe(
        optimizer=optimizer, schedule="constant", learning_rate=0.1, weight_decay=0.5
    )
    model = small_model(recipe)
    nothing = [np.zeros(weight.shape) for weight in model.trainable_variables]
    before, after = step(model, nothing)
    for weight, old, new in zip(model.trainable_variables, before, after, strict=True):
        kept = 0.95 if weight.name == "kernel" else 1.0
        np.testing.assert_allclose(new, kept * old, rtol=1e-5, err_msg=weight.path)


def test_momentum_is_nesterov_s():
    recipe = Recipe(optimizer="sgd", schedule="constant", learning_rate=0.1)
    model = small_model(recipe)
    ones = [np.ones(weight.shape) for weight in model.trainable_variables]
    before, after = step(model, ones)
    # It looks ahead: the first step is 1 + momentum long already.
    np.testing.assert_allclose(before[0] - after[0], 0.19, rtol=1e-4)


def test_clipping_bounds_the_norm_of_all_gradients_together():
    recipe = Recipe(
        optimizer="sgd", schedule="constant", learning_rate=1, momentum=0, clip_norm=2
    )
    model = small_model(recipe)
    before, after = step(
        model, [np.full(w.shape, 100.0) for w in model.trainable_variables]
    )
    moved = np.concatenate(
        [(b - a).ravel() for b, a in zip(before, after, strict=True)]
    )
    assert np.linalg.norm(moved) == pytest.approx(2, rel=1e-4)


def test_averaged_weights_are_kept_separately_from_the_model_s():
    recipe = Recipe(
        optimizer="sgd", schedule="constant", learning_rate=1, momentum=0, ema=0.75
    )
    model = small_model(recipe)
    ones = [np.ones(weight.shape) for weight in model.trainable_variables]
    _, first = step(model, ones)
    _, second = step(model, ones)
    averages = optimizers.averages(model)
    for weight, a, b in zip(model.trainable_variables, first, second, strict=True):
        np.testing.assert_allclose(weight.numpy(), b)
        np.testing.assert_allclose(
            averages[id(weight)].numpy(), 0.75 * a + 0.25 * b, rtol=1e-5, atol=1e-6
        )
    assert optimizers.averages(small_model(Recipe())) == {}
