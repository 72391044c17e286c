"""Pre-training block by block: the division of a network, and each stage."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from fovea import cli, models
from fovea.models.anatomy.without_weights import without_weights
from fovea.training.loop import checkpoint, layerwise
from fovea.training.loop.task import Task
from fovea.training.loop.train import train
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs
from fovea.training.runs.load import load_model

ROOT = Path(__file__).parents[3]


def cuts(name, input_shape, **options):
    """The first and the last layer of each block."""
    with without_weights():
        model = models.build(name, input_shape, 10, **options)
    return [(block[0], block[-1]) for block in layerwise.blocks(model)]


def test_a_chain_is_cut_before_every_kernel():
    assert cuts("lenet5", (28, 28, 1), normalisation="batch", dropout=0.5) == [
        ("normalisation", "s2"),
        ("c3", "s4"),
        ("c5", "flatten"),
        ("f6", "drop6"),
        ("logits", "logits"),
    ]


def test_a_residual_block_is_not_cut():
    found = cuts("resnet20", (32, 32, 3))
    assert len(found) == 1 + 9 + 1
    assert found[1] == ("conv2_1_a", "conv2_1_act")
    assert found[4] == ("conv3_1_a", "conv3_1_act")


def test_branches_are_not_cut():
    with without_weights():
        model = models.build("googlenet", (32, 32, 3), 10)
    for block in layerwise.blocks(model):
        modules = {name.partition("_")[2].partition("_")[0] for name in block}
        if any(name.startswith("inception_4b") for name in block):
            assert "inception_4b_1x1" in block and "inception_4b_output" in block
            assert modules >= {"4b"} and not modules & {"4a", "4c"}


def test_a_frozen_kernel_does_not_start_a_block(sample):
    model = models.build("speednet", (28, 28, 1), 10)
    assert layerwise.blocks(model)[0][-1] == "whitening"
    models.registry.prepare("speednet", model, sample.x_train[:100])
    assert layerwise.blocks(model)[0][-1] == "conv1_1_act"
    layers = [name for block in layerwise.blocks(model) for name in block]
    assert sorted(layers) == sorted(each.name for each in model.layers[1:])


@pytest.mark.slow
def test_each_stage_trains_its_block_alone(digits, capsys):
    """The first block's weights do not depend on whether another block follows."""
    task = Task(
        model="mlp",
        recipe=Recipe(epochs=2, batch_size=20, augmentation="none"),
        input_shape=(28, 28, 1),
        num_classes=10,
        images=digits.x_train[:200],
        labels=digits.y_train[:200],
        held_out=(digits.x_train[:0], digits.y_train[:0]),
        seed=0,
        strategy=tf.distribute.get_strategy(),
    )
    learned = []
    for hidden in ((50,), (50, 20)):
        keras.utils.set_random_seed(0)
        model = models.build("mlp", (28, 28, 1), 10, hidden=hidden)
        keras.utils.set_random_seed(1)
        layerwise.pretrain(model, task)
        assert all(layer.trainable for layer in model.layers)
        assert [layer.name for layer in model.layers][-1] == "logits"
        learned.append([layer.get_weights() for layer in model.layers if layer.weights])
    for one, other in zip(learned[0][0], learned[1][0], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    # Biases begin at zero.
    assert [bool(bias.any()) for _, bias in learned[1]] == [True, True, False]
    printed = capsys.readouterr().out
    assert "block 1 of 2: fc1\n" in printed and "block 2 of 2: fc2\n" in printed
    losses = [float(line.split()[3]) for line in printed.splitlines() if "loss" in line]
    assert losses[-1] < losses[-2]


@pytest.mark.slow
def test_training_starts_from_the_blocks(data_dir, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["--dataset", "mnist", "--data-dir", str(data_dir), "--run", str(run)]
    settings = ["--augmentation", "none", "--learning-rate", "1e-9", "--epochs", "1"]
    start = ["--pretrain", "layerwise", "--pretrain-epochs", "2"]
    assert cli.main(["train", "mlp", *arguments, *settings, *start]) == 0
    config = json.loads((run / "config.json").read_text())
    assert config["pretrain"] == "layerwise" and config["pretrain_epochs"] == 2
    assert load_model(run).count_params() == 266_610
    assert cli.main(["train", "--resume", str(run), *arguments[2:4], *start[:2]]) == 0
    capsys.readouterr()


@pytest.mark.slow
def test_held_out_images_are_not_used_for_pretraining(digits, tmp_path):
    """Wrong labels in the held-out part do not change the weights."""
    from fovea.training.datasets import load as data

    few = dataclasses.replace(
        digits, x_train=digits.x_train[:100], y_train=digits.y_train[:100]
    )
    recipe = Recipe(epochs=1, batch_size=20, augmentation="none", validation_split=0.5)
    _, held_out = data.held_out(100, 0.5, 0)
    labels = few.y_train.copy()
    labels[held_out] = 9 - labels[held_out]
    weights = []
    for dataset in (few, dataclasses.replace(few, y_train=labels)):
        run = tmp_path / str(len(weights))
        train("mlp", dataset, run, recipe, pretrain_epochs=1)
        weights.append(load_model(run).get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        (["softmax_regression", "--pretrain", "layerwise"], "several blocks"),
        (["mlp", "--pretrain", "layerwise", "--pretrain-epochs", "0"], "at least one"),
        (["mlp", "--pretrain-epochs", "2"], "belongs to --pretrain layerwise"),
    ],
)
def test_networks_that_cannot_be_pretrained_are_reported(
    command, rule, data_dir, tmp_path, capsys
):
    run = tmp_path / "run"
    arguments = ["--dataset", "mnist", "--data-dir", str(data_dir), "--run", str(run)]
    assert cli.main(["train", *command, *arguments]) == 1
    errors = capsys.readouterr().err
    assert rule in errors and "Received: " in errors and errors.count("\n") == 1
    assert not run.exists()


@pytest.mark.nightly
@pytest.mark.slow
def test_a_run_killed_between_blocks_resumes_with_the_next(data_dir, tmp_path):
    """It ends with the same weights as without the interruption."""
    ends = []
    data = ["--data-dir", str(data_dir)]
    for name in ("whole", "killed"):
        run = tmp_path / name
        command = ["train", "mlp", "--dataset", "mnist", *data]
        command += ["--run", str(run), "--deterministic", "--epochs", "1"]
        command += ["--set", "hidden=[30, 20]", "--pretrain", "layerwise"]
        command += ["--pretrain-epochs", "2"]
        process = subprocess.Popen(
            [sys.executable, "-m", "fovea", *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if name == "killed":
            for line in process.stdout:
                if line.startswith("pre-training block 2"):
                    process.kill()
        process.communicate(timeout=120)
        if name == "killed":
            assert process.returncode == -signal.SIGKILL
            assert checkpoint.read(run / runs.CHECKPOINT).blocks == 1
            resumed = subprocess.run(
                [sys.executable, "-m", "fovea", "train", "--resume", str(run), *data],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert resumed.returncode == 0, resumed.stderr
            assert "block 2 of 2" in resumed.stdout
            assert "block 1 of 2" not in resumed.stdout
        ends.append(load_model(run).get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
