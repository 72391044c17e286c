"""Runs that older versions wrote can be read and resumed.

data/run-0.1.0 was written by `fovea train lenet5 --dataset mnist_sample
--set activation=quick_gelu --set normalisation=batch --set optimizer=sgd --epochs 3
--save-every 5 --deterministic` of version 0.1.0, killed in its second epoch. The
modules had other names then; Keras' files of our layers must not depend on them.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

OLD = Path(__file__).parent / "data" / "run-0.1.0"


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(OLD, tmp_path / "run")


def test_a_model_of_version_0_1_0_predicts(run, sample):
    from fovea.training.runs.load import load_model

    model = load_model(run)
    logits = model.predict(sample.x_test[:500], verbose=0)
    accuracy = np.mean(logits.argmax(axis=1) == sample.y_test[:500])
    assert accuracy > 0.55  # 0.6725 of the held-out images, by its history.csv


@pytest.mark.slow
def test_a_run_of_version_0_1_0_resumes(run, sample):
    from fovea.training.loop.train import resume
    from fovea.training.runs import directory

    metrics = resume(run, sample)
    assert (metrics["status"], metrics["epochs_completed"]) == ("complete", 3)
    losses = [row["loss"] for row in directory.read_history(run)]
    # Uninterrupted, on the machine that wrote it, it was 2.0097, 1.4473, 1.2694.
    assert losses == pytest.approx([2.0097, 1.4473, 1.2694], abs=0.02)
