"""Two processes that train one network, and the loss of one of them."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fovea.training.datasets import load
from fovea.training.loop.train import train
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs
from fovea.training.runs.load import load_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
# Trains as `fovea train` does, and shows the weights that this worker ends with.
SCRIPT = """
import dataclasses, json, sys
from pathlib import Path
from fovea.models import backend
backend.prepare()
import numpy as np
from fovea import models
from fovea.training.datasets import load
from fovea.training.loop.train import train
from fovea.training.recipes.schema import Recipe

recipe, run, shown = json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
digits = load.load("mnist_sample")
digits = dataclasses.replace(
    digits, x_train=digits.x_train[:200], y_train=digits.y_train[:200]
)
kept = []

def build(input_shape, augmentation):
    kept.append(models.build("lenet5", input_shape, 10, augmentation=augmentation,
        **recipe["options"]))
    return kept[0]

metrics = train("lenet5", digits, run, Recipe(**recipe), build=build)
np.savez(shown, *kept[0].get_weights())
print(json.dumps(metrics))
"""


class Workers:
    """Two processes with the same command, connected by TF_CONFIG."""

    def __init__(self):
        self.processes = []
        self.environment = {**os.environ, "PYTHONWARNINGS": "ignore"}

    def start(self, command_of):
        doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        addresses = [f"127.0.0.1:{door.getsockname()[1]}" for door in doors]
        for door in doors:
            door.close()
        self.processes = [
            subprocess.Popen(
                [sys.executable, *command_of(index)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env={
                    **self.environment,
                    "PYTHONUNBUFFERED": "1",
                    "TF_CONFIG": json.dumps(
                        {
                            "cluster": {"worker": addresses},
                            "task": {"type": "worker", "index": index},
                        }
                    ),
                },
            )
            for index in range(2)
        ]
        return self.processes

    def kill(self):
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def workers():
    two = Workers()
    yield two
    two.kill()


def trained_alone(digits, run, recipe):
    few = dataclasses.replace(
        digits, x_train=digits.x_train[:200], y_train=digits.y_train[:200]
    )
    metrics = train("lenet5", few, run, Recipe(**recipe), strategy="single")
    return metrics, load_model(run).get_weights()


def test_two_processes_train_as_one(workers, sample, tmp_path):
    """The same weights in both, and those that a single process would have."""
    recipe = {
        "epochs": 2,
        "batch_size": 40,
        "augmentation": "none",
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "clip_norm": 0.5,
        "weight_decay": 0.01,
        "options": {"activation": "relu"},
    }
    run = tmp_path / "run"
    shown = [tmp_path / f"{index}.npz" for index in range(2)]
    started = workers.start(
        lambda index: ["-c", SCRIPT, json.dumps(recipe), str(run), str(shown[index])]
    )
    ended = [process.communicate(timeout=240) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    printed, weights = [], []
    for (output, _), path in zip(ended, shown, strict=True):
        printed.append(json.loads(output.splitlines()[-1]))
        with np.load(path) as file:
            weights.append([file[name] for name in file.files])
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    metrics, alone = trained_alone(sample, tmp_path / "alone", recipe)
    for ours, theirs in zip(weights[0], alone, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for each in (*printed, runs.read_metrics(run)):
        assert each["train"] == pytest.approx(metrics["train"], rel=1e-4)
        assert each["validation"] == pytest.approx(metrics["validation"], rel=1e-4)
    # Only the chief prints epochs.
    assert "epoch   2/2" in ended[0][0] and "epoch" not in ended[1][0].split("{")[0]
    assert runs.read_config(run)["strategy"] == "auto"


@pytest.mark.nightly
def test_a_killed_worker_ends_the_training_and_the_run_resumes(
    workers, data_dir, tmp_path
):
    workers.environment["FOVEA_DATA_DIR"] = str(data_dir)
    run = tmp_path / "run"
    recipe = ["epochs=12", "batch_size=100", "augmentation=none", "optimizer=sgd"]
    settings = [word for pair in recipe for word in ("--set", pair)]
    begin = ["train", "lenet5", "--dataset", "mnist", "--run", str(run), *settings]
    chief, other = workers.start(
        lambda index: [
            "-m",
            "fovea",
            *begin,
            "--learning-rate",
            "0.05",
            "--save-every",
            "1",
        ]
    )
    for line in chief.stdout:
        if line.startswith("epoch   1/12"):
            break
    other.send_signal(signal.SIGKILL)
    _, errors = chief.communicate(timeout=120)
    assert chief.returncode == 1
    assert errors.startswith("fovea: error: Another worker was lost, and training ")
    assert errors.count("\n") == 1
    workers.kill()
    assert not (run / "metrics.json").exists()

    started = workers.start(
        lambda index: ["-m", "fovea", "train", "--resume", str(run)]
    )
    ended = [process.communicate(timeout=240) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    assert "epoch   1/12" not in ended[0][0] and "epoch  12/12" in ended[0][0]
    assert runs.read_metrics(run)["status"] == "complete"

    alone = Recipe(
        epochs=12,
        batch_size=100,
        augmentation="none",
        optimizer="sgd",
        learning_rate=0.05,
    )
    train("lenet5", load.load("mnist", data_dir), tmp_path / "alone", alone)
    for ours, theirs in zip(
        load_model(run).get_weights(),
        load_model(tmp_path / "alone").get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
