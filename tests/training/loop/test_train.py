"""Training: the contents of a run directory, also after an early end."""

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from fovea import models
from fovea.models import backend
from fovea.training.datasets import load
from fovea.training.evaluation.evaluate import evaluate
from fovea.training.loop import checkpoint
from fovea.training.loop.train import resume, train
from fovea.training.recipes.schema import Recipe, from_dict
from fovea.training.runs import directory as runs
from fovea.training.runs.load import load_model

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def few(digits):
    """A hundred digits to train on, so that an epoch is short."""
    return dataclasses.replace(
        digits, x_train=digits.x_train[:100], y_train=digits.y_train[:100]
    )


@pytest.mark.slow
def test_a_run_directory_can_be_evaluated_and_repeated(run_directory, digits):
    assert sorted(path.name for path in run_directory.iterdir()) == [
        "best.keras",
        "checkpoint.npz",
        "config.json",
        "environment.json",
        "history.csv",
        "metrics.json",
        "model.keras",
        "report.html",
    ]
    config = json.loads((run_directory / "config.json").read_text())
    assert config["model"] == "lenet5" and config["input_shape"] == [28, 28, 1]
    assert config["class_names"] == list("0123456789")
    assert config["data_source"] == digits.source
    recipe = Recipe(epochs=4, batch_size=32, augmentation="none")
    assert from_dict(config["recipe"]) == recipe
    environment = json.loads((run_directory / "environment.json").read_text())
    assert environment["packages"]["tensorflow"].startswith("2.")
    assert (environment["precision"], environment["xla"]) == ("float32", False)
    assert environment["winograd"] == []
    with (run_directory / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    metrics = json.loads((run_directory / "metrics.json").read_text())
    assert metrics["status"] == "complete" and metrics["epochs_completed"] == 4
    assert metrics["validation"]["images"] == 100
    assert metrics["validation"]["accuracy"] == float(rows[-1]["val_accuracy"])
    best = max(rows, key=lambda row: float(row["val_accuracy"]))
    assert metrics["best"] == {
        "epoch": int(best["epoch"]),
        "accuracy": float(best["val_accuracy"]),
    }


def test_the_net_recognises_digits(run_directory, digits):
    result = evaluate(load_model(run_directory), digits.x_test, digits.y_test)
    assert result["images"] == 200
    assert result["accuracy"] > 0.8


def test_evaluate_agrees_with_keras(run_directory, digits):
    model = load_model(run_directory)
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    loss, accuracy = model.evaluate(digits.x_test, digits.y_test, verbose=0)
    result = evaluate(model, digits.x_test, digits.y_test)
    assert result["loss"] == pytest.approx(loss, rel=1e-4)
    assert result["accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_the_metrics_are_those_of_the_saved_model(run_directory, digits):
    *_, x, y = load.split(digits, 0.1, seed=0)
    result = evaluate(load_model(run_directory), x, y)
    recorded = runs.read_metrics(run_directory)["validation"]
    assert result["accuracy"] == pytest.approx(recorded["accuracy"], abs=1e-6)
    assert result["loss"] == pytest.approx(recorded["loss"], rel=1e-4)


@pytest.mark.slow
def test_augmentation_acts_in_training_only(few, tmp_path):
    first = []
    for policy in ("none", "mnist"):
        run = tmp_path / policy
        recipe = Recipe(epochs=1, augmentation=policy)
        metrics = train("softmax_regression", few, run, recipe)
        first.append(metrics["train"]["loss"])
        names = [layer.name for layer in load_model(run).layers]
        assert not [name for name in names if "augment" in name]
    assert first[0] != pytest.approx(first[1], rel=1e-5)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_first_steps(few, tmp_path):
    recipe = Recipe(epochs=1, augmentation="none")
    losses = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        metrics = train("softmax_regression", few, tmp_path / name, recipe, seed=seed)
        losses.append(metrics["train"]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != pytest.approx(losses[2], rel=1e-5)


@pytest.mark.slow
def test_the_averaged_weights_are_evaluated_and_saved(few, tmp_path):
    recipe = Recipe(epochs=2, batch_size=10, ema=0.95, augmentation="none")
    train("softmax_regression", few, tmp_path / "run", recipe)
    left = load_model(tmp_path / "run").get_weights()
    state = checkpoint.read(tmp_path / "run" / runs.CHECKPOINT)
    raw = [value for value in state.model if value.ndim]
    model = models.build("softmax_regression", (28, 28, 1), 10)
    kept = [
        value for value in state.optimizer if value.shape in {w.shape for w in left}
    ]
    assert len(raw) == len(left) == len(model.weights)
    for weights, trained in zip(left, raw, strict=True):
        assert np.abs(weights - trained).max() > 1e-4
        # Keras keeps the averages among the optimiser's variables.
        assert any(np.array_equal(weights, value) for value in kept)


@pytest.mark.slow
def test_the_saved_model_has_float32_weights_in_any_precision(few, tmp_path):
    recipe = Recipe(epochs=1, augmentation="none", precision="mixed_float16", ema=0.5)
    train("softmax_regression", few, tmp_path / "run", recipe)
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["precision"] == "mixed_float16"
    layers = load_model(tmp_path / "run").layers
    assert {layer.dtype_policy.name for layer in layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_images_may_grow_during_training(few, tmp_path):
    recipe = Recipe(epochs=2, sizes=[[0, 20], [1, 28]], augmentation="none")
    metrics = train("lenet5", few, tmp_path / "run", recipe)
    assert metrics["epochs_completed"] == 2
    assert load_model(tmp_path / "run").input_shape == (None, 28, 28, 1)
    state = checkpoint.read(tmp_path / "run" / runs.CHECKPOINT)
    # One schedule, one optimiser: as many steps as without a change.
    assert 2 in [int(value) for value in state.optimizer if value.ndim == 0]


@pytest.mark.slow
def test_early_stopping_leaves_the_best_epoch(few, tmp_path):
    run = tmp_path / "run"
    recipe = Recipe(
        epochs=50,
        schedule="constant",
        learning_rate=1e-7,  # no epoch improves
        early_stopping=2,
        validation_split=0.5,
        augmentation="none",
    )
    metrics = train("softmax_regression", few, run, recipe)
    assert metrics["status"] == "complete" and metrics["stopped_early"]
    with (run / "history.csv").open() as file:
        accuracies = [float(row["val_accuracy"]) for row in csv.DictReader(file)]
    best = accuracies.index(max(accuracies))
    assert metrics["best"]["epoch"] == best
    assert metrics["epochs_completed"] == best + 3 == len(accuracies)
    assert metrics["validation"]["accuracy"] == accuracies[best]
    assert (run / runs.MODEL).read_bytes() == (run / runs.BEST).read_bytes()
    assert resume(run, few) == metrics  # and resuming does not continue it


@pytest.mark.slow
def test_a_frozen_layer_is_unchanged(few, tmp_path):
    given = {}

    def build(input_shape, augmentation):
        model = models.build("lenet5", input_shape, 10, augmentation=augmentation)
        model.get_layer("c1").trainable = False
        given.update(
            (name, model.get_layer(name).get_weights()) for name in ("c1", "c3")
        )
        return model

    recipe = Recipe(epochs=1, schedule="constant", augmentation="none")
    train("lenet5", few, tmp_path / "run", recipe, build=build)
    # Resuming reads it from the run.
    metrics = resume(tmp_path / "run", few, epochs=2)
    assert metrics["epochs_completed"] == 2
    left = load_model(tmp_path / "run")
    for name, stays in (("c1", True), ("c3", False)):
        after = left.get_layer(name).get_weights()
        assert np.array_equal(given[name][0], after[0]) == stays


@pytest.mark.slow
def test_an_architecture_is_prepared_from_the_images(sample, tmp_path):
    colour = dataclasses.replace(
        sample,
        x_train=np.repeat(sample.x_train[:20], 3, axis=-1),
        y_train=sample.y_train[:20],
    )
    recipe = Recipe(epochs=1, batch_size=20, validation_split=0.0, augmentation="none")
    metrics = train("speednet", colour, tmp_path / "run", recipe)
    assert "validation" not in metrics and "best" not in metrics
    assert not (tmp_path / "run" / runs.BEST).exists()
    left = load_model(tmp_path / "run").get_layer("whitening").get_weights()[0]
    # Filters and their negatives, untouched by the step of training.
    half = left.shape[-1] // 2
    np.testing.assert_array_equal(left[..., :half], -left[..., half:])
    state = checkpoint.read(tmp_path / "run" / runs.CHECKPOINT)
    assert state.frozen == ["whitening"]
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    wide = ["conv2_1", "conv2_2", "conv3_1", "conv3_2"]
    assert environment["winograd"] == (wide if not backend.has_gpu() else [])


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ({"augmentation": "mnsit"}, {}),
        ({"options": {"activaton": "relu"}}, {}),
        ({"sizes": [[0, 32]]}, {}),
        ({"sizes": [[0, 20]]}, {}),  # softmax regression's weights are for 28x28
        ({"batch_size": 200, "drop_last": True}, {}),
        ({"validation_split": 0.999}, {}),
        ({}, {"seed": -1}),
        ({}, {"save_every": 0}),
        ({}, {"strategy": "singel"}),
    ],
)
def test_an_invalid_value_is_rejected_and_nothing_is_written(
    few, tmp_path, recipe, settings
):
    run = tmp_path / "run"
    with pytest.raises(ValueError, match=r"^(?!.*\n).*Received: "):
        train("softmax_regression", few, run, Recipe(**recipe), **settings)
    assert not list(tmp_path.iterdir())


def test_no_run_overwrites_another(digits, run_directory):
    before = (run_directory / "model.keras").read_bytes()
    with pytest.raises(ValueError, match="must be new or empty"):
        train("lenet5", digits, run_directory, Recipe())
    assert (run_directory / "model.keras").read_bytes() == before


@pytest.mark.slow
def test_divergence_ends_the_run_with_a_suggestion(few, tmp_path):
    run = tmp_path / "run"
    recipe = Recipe(epochs=1, schedule="constant", augmentation="none")
    train("softmax_regression", few, run, recipe)
    good = load_model(run).get_weights()
    config = runs.read_config(run)
    config["recipe"]["options"] = {"l2": 1e38}
    runs.write_json(run / "config.json", config)
    with pytest.raises(ValueError, match=r"smaller --learning-rate"):
        resume(run, few, epochs=3)
    metrics = runs.read_metrics(run)
    assert metrics["status"] == "diverged" and metrics["epochs_completed"] == 1
    # NaN weights have not replaced finite ones.
    for before, after in zip(good, load_model(run).get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert checkpoint.read(run / runs.CHECKPOINT).epoch == 1


def fovea(*words, script="", **environment):
    """Start the command in a separate process."""
    # The tests' parent process may ignore SIGINT, which is inherited.
    script = (
        "import signal, sys\nfrom fovea import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"{script}\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        cwd=ROOT,
    )


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_can_be_used_and_resumed(tmp_path, data_dir):
    """Interrupt after the first epoch; the run can be evaluated."""
    run = tmp_path / "run"
    process = fovea(
        *("train", "lenet5", "--dataset", "mnist", "--epochs", 500, "--run", run),
        *("--augmentation", "none"),
        FOVEA_DATA_DIR=str(data_dir),
    )
    for line in process.stdout:
        if "epoch   1/500" in line:
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == ""
    assert "Interrupted after" in output and f"--resume {run}" in output
    metrics = runs.read_metrics(run)
    assert metrics["status"] == "interrupted" and metrics["epochs_completed"] >= 1
    assert load_model(run).count_params() == 61_706
    state = checkpoint.read(run / runs.CHECKPOINT)
    assert state.epoch == metrics["epochs_completed"] == len(state.rows)
    assert not [path for path in run.iterdir() if "partial" in path.name]


@pytest.mark.slow
def test_training_continues_when_a_checkpoint_cannot_be_written(tmp_path, data_dir):
    """A limit on the size of files, as soon as the run has begun, is a full disk."""
    run = tmp_path / "run"
    fill = (
        "import pathlib, resource, threading, time\n"
        f"run = pathlib.Path({str(run)!r})\n"
        "def fill():\n"
        "    while not run.exists():\n"
        "        time.sleep(0.001)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "threading.Thread(target=fill, daemon=True).start()\n"
    )
    process = fovea(
        *("train", "lenet5", "--dataset", "mnist", "--epochs", 2, "--run", run),
        *("--augmentation", "none"),
        script=fill,
        FOVEA_DATA_DIR=str(data_dir),
    )
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 3, errors
    assert "epoch   2/2" in output and "could not be written" in output
    assert errors.startswith("fovea: warning: ") and errors.count("\n") == 1
    assert runs.CHECKPOINT in errors and "training continues" in errors
    metrics = runs.read_metrics(run)
    assert metrics["status"] == "complete" and metrics["epochs_completed"] == 2
    assert {each.partition(":")[0] for each in metrics["not_saved"]} == {
        runs.CHECKPOINT,
        runs.MODEL,
        runs.BEST,
    }
    # The previous checkpoint is complete.
    assert checkpoint.read(run / runs.CHECKPOINT).epoch == 0
    assert not [path for path in run.iterdir() if "partial" in path.name]


@pytest.mark.parametrize("missing", ["config.json", "model.keras"])
def test_a_directory_that_is_not_a_run_is_rejected(run_directory, tmp_path, missing):
    for path in run_directory.iterdir():
        if path.name != missing:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="Received: run="):
        load_model(tmp_path)
