"""Training: what a run directory holds, however the run ended."""

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training import run as runs
from training.evaluate import evaluate
from training.train import train


def test_a_run_directory_can_be_judged_and_repeated(run_directory, digits):
    assert sorted(path.name for path in run_directory.iterdir()) == [
        "config.json",
        "environment.json",
        "history.csv",
        "metrics.json",
        "model.keras",
    ]
    config = json.loads((run_directory / "config.json").read_text())
    assert config["model"] == "lenet5" and config["input_shape"] == [28, 28, 1]
    assert config["class_names"] == list("0123456789")
    assert config["data_source"] == digits.source
    environment = json.loads((run_directory / "environment.json").read_text())
    assert environment["packages"]["tensorflow"].startswith("2.")
    with (run_directory / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    metrics = json.loads((run_directory / "metrics.json").read_text())
    assert metrics["status"] == "complete" and metrics["epochs_completed"] == 4
    assert metrics["validation"]["images"] == 100
    assert metrics["validation"]["accuracy"] == float(rows[-1]["val_accuracy"])


def test_the_net_has_learned_to_read(run_directory, digits):
    result = evaluate(runs.load_model(run_directory), digits.x_test, digits.y_test)
    assert result["images"] == 200
    assert result["accuracy"] > 0.8


def test_evaluate_agrees_with_keras(run_directory, digits):
    import keras

    model = runs.load_model(run_directory)
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    loss, accuracy = model.evaluate(digits.x_test, digits.y_test, verbose=0)
    result = evaluate(model, digits.x_test, digits.y_test)
    assert result["loss"] == pytest.approx(loss, rel=1e-4)
    assert result["accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_augmentation_is_in_the_run_but_not_in_what_is_served(digits, tmp_path):
    few = dataclasses.replace(
        digits, x_train=digits.x_train[:64], y_train=digits.y_train[:64]
    )
    train("lenet5", few, tmp_path / "run", epochs=1, augmentation="mnist")
    trained = runs.load_model(tmp_path / "run")
    served = runs.load_inference_model(tmp_path / "run")
    assert len(trained.layers) > len(served.layers)
    images = digits.x_test[:16]
    np.testing.assert_allclose(
        trained.predict(images, verbose=0), served.predict(images, verbose=0), atol=1e-5
    )


def test_the_same_seed_gives_the_same_first_steps(digits, tmp_path):
    few = dataclasses.replace(
        digits, x_train=digits.x_train[:64], y_train=digits.y_train[:64]
    )
    losses = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        metrics = train("lenet5", few, tmp_path / name, epochs=1, seed=seed)
        losses.append(metrics["train"]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != pytest.approx(losses[2], rel=1e-5)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("validation_split", 1.0),
        ("validation_split", -0.1),
        ("augmentation", "mnsit"),
        ("options", {"activaton": "relu"}),
    ],
)
def test_an_unusable_value_is_refused_and_nothing_is_written(
    digits, tmp_path, argument, value
):
    with pytest.raises(ValueError, match="Received: "):
        train("lenet5", digits, tmp_path / "run", **{argument: value})
    assert not (tmp_path / "run").exists()


def test_no_run_overwrites_another(digits, run_directory):
    before = (run_directory / "model.keras").read_bytes()
    with pytest.raises(ValueError, match="must be new or empty"):
        train("lenet5", digits, run_directory)
    assert (run_directory / "model.keras").read_bytes() == before


def test_divergence_ends_the_run_with_advice(digits, tmp_path):
    with pytest.raises(ValueError, match=r"smaller --learning-rate"):
        train(
            "lenet5",
            digits,
            tmp_path / "run",
            epochs=2,
            augmentation="none",
            options={"l2": 1e38},
        )
    assert runs.read_metrics(tmp_path / "run")["status"] == "diverged"


def test_ctrl_c_leaves_a_usable_run(tmp_path, data_dir):
    """Interrupt after the first epoch; what is there can be evaluated."""
    run = tmp_path / "run"
    # What started the tests may have had Ctrl-C ignored, which is inherited.
    script = (
        "import signal, sys, fovea\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(fovea.main(sys.argv[1:]))\n"
    )
    command = [
        *(sys.executable, "-c", script, "train", "lenet5", "--dataset", "mnist"),
        *("--epochs", "500", "--run", str(run)),
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FOVEA_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"},
        cwd=Path(__file__).parents[2],
    )
    for line in process.stdout:
        if "epoch   1/500" in line:
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == ""
    assert "Interrupted after" in output and str(run) in output
    metrics = runs.read_metrics(run)
    assert metrics["status"] == "interrupted" and metrics["epochs_completed"] >= 1
    assert runs.load_inference_model(run).count_params() == 61_706
    assert not [path for path in run.iterdir() if "partial" in path.name]


@pytest.mark.parametrize("missing", ["config.json", "model.keras"])
def test_a_directory_that_is_no_run_is_refused(run_directory, tmp_path, missing):
    for path in run_directory.iterdir():
        if path.name != missing:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="Received: run="):
        runs.load_inference_model(tmp_path)
