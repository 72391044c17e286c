"""Fine-tuning: the copied weights, the frozen layers and the resulting run."""

import dataclasses
import json

import numpy as np
import pytest

from fovea import cli, models
from fovea.training.commands import finetune as finetune_command
from fovea.training.evaluation.evaluate import evaluate
from fovea.training.loop import finetune
from fovea.training.loop.train import resume, train
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs
from fovea.training.runs.load import load_model

PAD = ((0, 0), (2, 2), (2, 2), (0, 0))


@pytest.fixture(scope="module")
def two_classes(digits):
    """Small and large digits, standing for another data set."""
    return dataclasses.replace(
        digits,
        x_train=digits.x_train[:300],
        y_train=digits.y_train[:300] // 5,
        y_test=digits.y_test // 5,
        class_names=("small", "large"),
    )


@pytest.fixture(scope="module")
def tuned(run_directory, two_classes, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "tuned"
    recipe = Recipe(epochs=3, batch_size=32, augmentation="none")
    build = finetune.builder(run_directory, two_classes, {}, "s4")
    train("lenet5", two_classes, run, recipe, build=build)
    return run


def weights_of(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


@pytest.mark.slow
def test_the_body_keeps_the_run_s_weights_and_the_head_is_new(
    run_directory, two_classes
):
    before = weights_of(load_model(run_directory))
    model = finetune.builder(run_directory, two_classes, {})((28, 28, 1), "mnist")
    after = weights_of(model)
    assert model.output_shape == (None, 2)
    for name in ("c1", "c3", "c5", "f6"):
        for ours, theirs in zip(after[name], before[name], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.slow
def test_frozen_layers_are_unchanged_and_the_others_are_trained(
    tuned, run_directory, two_classes
):
    before = weights_of(load_model(run_directory))
    after = weights_of(load_model(tuned))
    for name in ("c1", "c3"):
        np.testing.assert_array_equal(before[name][0], after[name][0])
    for name in ("c5", "f6"):
        assert np.abs(before[name][0] - after[name][0]).max() > 1e-4
    model = load_model(tuned)
    result = evaluate(model, two_classes.x_test, two_classes.y_test)
    assert result["accuracy"] > 0.8


@pytest.mark.slow
def test_a_tuned_run_can_be_exported(tuned):
    assert load_model(tuned).output_shape == (None, 2)


@pytest.mark.slow
def test_frozen_layers_stay_frozen_when_training_resumes(tuned, two_classes, tmp_path):
    recipe = Recipe(epochs=1, batch_size=32, augmentation="none", schedule="constant")
    build = finetune.builder(tuned, two_classes, {}, "c1")
    train("lenet5", two_classes, tmp_path / "run", recipe, build=build)
    assert resume(tmp_path / "run", two_classes, epochs=2)["epochs_completed"] == 2
    before = weights_of(load_model(tuned))
    after = weights_of(load_model(tmp_path / "run"))
    np.testing.assert_array_equal(before["c1"][0], after["c1"][0])
    assert np.abs(before["c3"][0] - after["c3"][0]).max() > 1e-4


@pytest.mark.slow
def test_frozen_batch_statistics_are_unchanged(digits, two_classes, tmp_path):
    options = {"normalisation": "batch"}
    recipe = Recipe(epochs=1, batch_size=50, augmentation="none", options=options)
    train("lenet5", digits, tmp_path / "source", recipe)
    build = finetune.builder(tmp_path / "source", two_classes, options, "s2")
    train("lenet5", two_classes, tmp_path / "tuned", recipe, build=build)
    before = weights_of(load_model(tmp_path / "source"))
    after = weights_of(load_model(tmp_path / "tuned"))
    for ours, theirs in zip(after["c1_norm"], before["c1_norm"], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.abs(after["c3_norm"][2] - before["c3_norm"][2]).max() > 1e-4


def test_freezing_follows_the_graph_not_the_order_of_layers():
    model = models.build("resnet20", (32, 32, 3), 10)
    finetune.freeze(model, "conv3_1_add", {"logits"})
    frozen = {layer.name for layer in model.layers if not layer.trainable}
    assert {"conv1", "conv2_3_b_norm", "conv3_1_a", "conv3_1_b"} <= frozen
    assert not {"conv3_2_a", "conv4_1_a", "logits"} & frozen


@pytest.mark.parametrize("name", ["speednet", "nin", "fcn"])
def test_the_head_is_the_layers_that_depend_on_the_classes(name, digits, tmp_path):
    """Some networks end in a convolution, or in layers without weights."""
    colour = dataclasses.replace(
        digits, x_train=np.repeat(np.pad(digits.x_train[:8], PAD), 3, axis=3)
    )
    run = tmp_path / "run"
    source = models.build(name, colour.input_shape, 10)
    config = {"model": name, "input_shape": colour.input_shape, "options": {}}
    with runs.create(run) as partial:
        runs.write_json(partial / "config.json", config)
        runs.save_model(partial / runs.MODEL, source)
    same_number = finetune.builder(run, colour, {})(colour.input_shape, None)
    before, after = weights_of(source), weights_of(same_number)
    new = [
        layer
        for layer in before
        if any((a != b).any() for a, b in zip(before[layer], after[layer], strict=True))
    ]
    assert new == [{"speednet": "scores", "nin": "cccp6", "fcn": "class_map"}[name]]
    frozen = [each.name for each in same_number.layers if not each.trainable]
    assert frozen == (["whitening"] if name == "speednet" else [])


@pytest.mark.parametrize(
    ("layer", "rule"),
    [
        ("s5", r"no such layer.*its layers with weights are c1, c3, c5, f6, logits"),
        ("c33", r"did you mean c3\?"),
        ("logits", r"The head, logits, is new and must be trained"),
    ],
)
def test_layers_that_cannot_be_frozen_are_reported(
    run_directory, two_classes, layer, rule
):
    with pytest.raises(ValueError, match=f"{rule}.*Received: --freeze-until {layer}"):
        finetune.builder(run_directory, two_classes, {}, layer)


def test_images_of_the_wrong_shape_are_reported(run_directory, two_classes):
    larger = dataclasses.replace(
        two_classes, x_train=np.zeros((3, 40, 40, 1), np.uint8)
    )
    rule = r"layer f6 .* for images of 28 x 28 x 1, .*Received: images of 40 x 40 x 1"
    with pytest.raises(ValueError, match=rule):
        finetune.builder(run_directory, larger, {})
    other = {"normalisation": "batch"}
    with pytest.raises(ValueError, match=r"layer c1 .*options=\{\}.*'batch'"):
        finetune.builder(run_directory, two_classes, other)


@pytest.mark.slow
def test_the_command_writes_an_ordinary_run(run_directory, data_dir, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["--dataset", "mnist", "--data-dir", str(data_dir), "--run", str(run)]
    settings = ["--epochs", "1", "--augmentation", "none", "--freeze-until", "c3"]
    command = ["finetune", str(run_directory), *arguments, *settings]
    assert cli.main(command) == 0
    assert f"next: fovea evaluate {run}" in capsys.readouterr().out
    config = json.loads((run / "config.json").read_text())
    assert config["model"] == "lenet5" and config["dataset"] == "mnist"
    assert config["recipe"]["learning_rate"] == finetune_command.LEARNING_RATE
    assert config["finetuned_from"] == {
        "run": str(run_directory),
        "dataset": "mnist_sample",
        "freeze_until": "c3",
    }
    assert runs.read_metrics(run)["status"] == "complete"
    assert cli.main([*command[:-1], "c9", "--run", str(tmp_path / "other")]) == 1
    assert "no such layer" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
