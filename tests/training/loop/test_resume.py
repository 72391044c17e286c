"""Resuming after kill -9: the same weights, bit for bit, as without it."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from fovea import cli, models
from fovea.training.loop import checkpoint, fit
from fovea.training.loop.train import resume, train
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs

ROOT = Path(__file__).parents[3]
EPOCHS = 5
# Everything with a state: statistics, random layers, averages, momenta.
WORDS = (
    *("train", "lenet5", "--dataset", "mnist", "--deterministic"),
    *("--epochs", EPOCHS, "--batch-size", 50, "--augmentation", "cifar_airbench"),
    *("--set", "ema=0.9", "--set", "mixing=cutmix", "--set", "normalisation=batch"),
    *("--set", "dropout=0.1", "--set", "sizes=[[0, 20], [2, 28]]"),
)


def start(data_dir, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "fovea", *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "FOVEA_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
    )


def finish(process):
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    return output


def kill_when(process, run, condition):
    """Kill a process with SIGKILL once it has reached a state."""
    path, seen, state = run / runs.CHECKPOINT, None, None
    while state is None or not condition(state):
        assert process.poll() is None
        time.sleep(0.003)
        if path.exists() and path.stat().st_ino != seen:
            seen, state = path.stat().st_ino, checkpoint.read(path)
    process.kill()
    process.communicate()
    return checkpoint.read(path)


def assert_same(run, other):
    both = (run, other)
    for group in ("model", "optimizer", "metrics"):
        pairs = zip(
            *(getattr(checkpoint.read(each / runs.CHECKPOINT), group) for each in both),
            strict=True,
        )
        for number, (ours, theirs) in enumerate(pairs):
            assert ours.tobytes() == theirs.tobytes(), (group, number)
    histories = []
    for each in both:
        with (each / "history.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [int(row["epoch"]) for row in rows] == [*range(EPOCHS)]
        histories.append([{**row, "seconds": ""} for row in rows])
    assert histories[0] == histories[1]
    for name in (runs.MODEL, runs.BEST):
        weights = [load(each / name) for each in both]
        for ours, theirs in zip(*weights, strict=True):
            assert ours.tobytes() == theirs.tobytes()
    ours, theirs = (runs.read_metrics(each) for each in both)
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


def load(path):
    models.registry.builder("lenet5")  # registers the layers it uses
    return keras.saving.load_model(path, compile=False).get_weights()


@pytest.fixture(scope="module")
def uninterrupted(data_dir, tmp_path_factory):
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    finish(start(data_dir, *WORDS, "--run", run))
    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "between_epochs", [False, pytest.param(True, marks=pytest.mark.nightly)]
)
def test_killed_several_times(uninterrupted, data_dir, tmp_path, between_epochs):
    run = tmp_path / "run"
    words = ("--run", run, "--save-every", 1)
    partial = run / f".partial-{runs.CHECKPOINT}"
    # While it saves, which with --save-every 1 is most of the time.
    state = kill_when(
        start(data_dir, *WORDS, *words),
        run,
        lambda state: state.epoch == 1 and partial.exists(),
    )
    assert state.epoch == 1
    # Within an epoch, in the stage of larger images.
    state = kill_when(
        start(data_dir, "train", "--resume", run, "--save-every", 5),
        run,
        lambda state: state.epoch == 2 and state.step in (5, 10),
    )
    assert (state.epoch, state.step % 5) == (2, 0) and state.step
    first = 3  # epoch to be reported: what was done of it is not done again
    if between_epochs:
        state = kill_when(
            start(data_dir, "train", "--resume", run),
            run,
            lambda state: state.epoch == 3,
        )
        assert (state.epoch, state.step) == (3, 0)
        first = 4
    output = finish(start(data_dir, "train", "--resume", run))
    assert f"epoch   {first}/5" in output and f"epoch   {first - 1}/5" not in output
    assert_same(run, uninterrupted)
    assert not [path for path in run.iterdir() if "partial" in path.name]


@pytest.mark.slow
def test_a_complete_run_is_unchanged(uninterrupted, data_dir):
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.iterdir()}
    words = ["train", "--resume", str(uninterrupted), "--data-dir", str(data_dir)]
    assert cli.main(words) == 0
    assert {p: p.stat().st_mtime_ns for p in uninterrupted.iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mlp"], "model=lenet5. Received: model=mlp"),
        (["--seed", "1"], "seed=0. Received: seed=1"),
        (["--dataset", "mnist_sample"], "training_images 1000. Received: mnist_sample"),
        (
            ["--learning-rate", "0.1"],
            "learning_rate=0.002. Received: learning_rate=0.1",
        ),
        (["--set", "activation=relu"], "'activation': 'relu'"),
        (["--epochs", "9"], "cosine schedule of this run ends with epoch 5"),
        (["--run", "elsewhere"], "in its own directory"),
    ],
)
def test_a_changed_setting_is_rejected_with_the_difference(
    uninterrupted, data_dir, words, message, capsys
):
    command = ["train", *words, "--resume", str(uninterrupted)]
    assert cli.main([*command, "--data-dir", str(data_dir)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fovea: error: ") and error.count("\n") == 1
    assert message in error


def test_a_folder_that_is_not_a_run_is_rejected(tmp_path, capsys):
    assert cli.main(["train", "--resume", str(tmp_path)]) == 1
    assert f"Received: run={tmp_path}" in capsys.readouterr().err


@pytest.fixture
def short(digits, tmp_path):
    """A run of two epochs without an end, and the data it had."""
    few = dataclasses.replace(
        digits, x_train=digits.x_train[:60], y_train=digits.y_train[:60]
    )
    recipe = Recipe(epochs=2, schedule="constant", augmentation="none")
    train("softmax_regression", few, tmp_path / "run", recipe)
    return tmp_path / "run", few


@pytest.mark.slow
def test_a_schedule_without_an_end_can_be_extended(short):
    run, few = short
    metrics = resume(run, few, epochs=4)
    assert metrics["status"] == "complete" and metrics["epochs_completed"] == 4
    assert runs.read_config(run)["recipe"]["epochs"] == 4
    with pytest.raises(ValueError, match=r"has completed 4 epochs.*epochs=3"):
        resume(run, few, epochs=3)


@pytest.mark.slow
def test_files_derived_from_the_checkpoint_are_rewritten(short):
    """As if it had been killed after the last checkpoint, before anything else."""
    run, few = short
    made = ("history.csv", runs.MODEL, "metrics.json")
    metrics = runs.read_metrics(run)
    weights = load(run / runs.MODEL)
    for name in made:
        (run / name).unlink()
    assert resume(run, few) == metrics
    for before, after in zip(weights, load(run / runs.MODEL), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.slow
def test_a_recipe_of_another_version_is_reported(short, capsys):
    run, _ = short
    config = runs.read_config(run)
    config["recipe"] = {**config["recipe"], "lookahead": 5}
    runs.write_json(run / "config.json", config)
    assert cli.main(["train", "--resume", str(run)]) == 1
    error = capsys.readouterr().err
    assert "does not know: lookahead" in error and error.count("\n") == 1


@pytest.mark.slow
def test_other_images_of_the_same_shape_are_noticed(short):
    run, few = short
    other = dataclasses.replace(few, x_train=few.x_train[::-1])
    with pytest.raises(ValueError, match="training_checksum"):
        resume(run, other, epochs=3)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_reported(short):
    run, few = short
    path = run / runs.CHECKPOINT
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=f"cannot be read.*Received: {path}"):
        resume(run, few, epochs=3)


@pytest.mark.slow
def test_a_checkpoint_of_another_network_is_rejected(short):
    run, few = short
    config = json.loads((run / "config.json").read_text())
    config["model"] = "mlp"
    runs.write_json(run / "config.json", config)
    with pytest.raises(ValueError, match="do not fit this network"):
        resume(run, few, epochs=3)


def test_parts_of_a_run_begin_within_an_epoch_only_if_they_end_with_it():
    recipe = Recipe(epochs=9, sizes=[[0, 20], [4, 24], [6, 28]])
    assert list(fit.segments(recipe, 0, 0)) == [(0, 0, 4), (4, 0, 6), (6, 0, 9)]
    assert list(fit.segments(recipe, 4, 7)) == [(4, 7, 5), (5, 0, 6), (6, 0, 9)]
    assert list(fit.segments(recipe, 8, 1)) == [(8, 1, 9)]
    assert list(fit.segments(recipe, 9, 0)) == []
    assert list(fit.segments(dataclasses.replace(recipe, epochs=3), 0, 0)) == [
        (0, 0, 3)
    ]
