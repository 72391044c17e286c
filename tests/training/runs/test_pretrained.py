"""The package's models: weights of half precision, the same predictions."""

import json

import numpy as np
import pytest

from fovea import cli
from fovea.training.evaluation.evaluate import evaluate
from fovea.training.runs import directory as runs
from fovea.training.runs import packing, pretrained
from fovea.training.runs.load import load_model


@pytest.fixture(scope="module")
def packed(run_directory, tmp_path_factory):
    directory = tmp_path_factory.mktemp("pretrained")
    assert packing.pack(run_directory, "digits", directory) == directory / "digits"
    return directory / "digits"


@pytest.fixture
def shipped(packed, monkeypatch):
    """The packed run, installed as a model of the package."""
    monkeypatch.setattr(pretrained, "DIRECTORY", packed.parent)
    return "pretrained:digits"


def test_the_essentials_of_a_run_are_kept(packed, run_directory):
    names = sorted(path.name for path in packed.iterdir())
    assert names == ["config.json", "metrics.json", "weights.npz"]
    assert runs.read_config(packed) == runs.read_config(run_directory)
    assert (packed / "weights.npz").stat().st_size < 61_706 * 2.2
    with np.load(packed / "weights.npz") as file:
        assert file["c1/kernel"].dtype == np.float16
        assert file["c1/bias"].dtype == np.float32


def test_rounding_changes_no_accuracy(shipped, run_directory, sample):
    """Of a thousand digits; 0.05 points would be half a digit."""
    exact = evaluate(load_model(run_directory), sample.x_test, sample.y_test)
    rounded = evaluate(pretrained.load("digits"), sample.x_test, sample.y_test)
    assert exact["images"] == 1000 and exact["accuracy"] > 0.8
    assert rounded["accuracy"] == exact["accuracy"]
    assert rounded["loss"] == pytest.approx(exact["loss"], abs=1e-3)
    assert rounded["loss"] != exact["loss"]


def test_a_shipped_model_is_exported_by_its_name(shipped, tmp_path, sample, capsys):
    import tensorflow as tf

    repository = tmp_path / "exported" / "digits"
    assert cli.main(["export", shipped, "--to", str(repository)]) == 0
    assert "version 1 of digits" in capsys.readouterr().out
    served = tf.saved_model.load(str(repository / "1")).signatures["serving_default"]
    class_ids = served(images=tf.constant(sample.x_test[:50]))["class_id"].numpy()
    logits = pretrained.load("digits").predict(sample.x_test[:50], verbose=0)
    assert class_ids.tolist() == logits.argmax(axis=1).tolist()
    card = (repository / "1" / "assets.extra" / "model_card.md").read_text()
    assert "lenet5 trained on mnist_sample" in card


@pytest.mark.slow
def test_a_shipped_model_can_be_fine_tuned(shipped, data_dir, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["--dataset", "mnist", "--data-dir", str(data_dir), "--run", str(run)]
    settings = ["--epochs", "1", "--augmentation", "none", "--batch-size", "300"]
    assert cli.main(["finetune", shipped, *arguments, *settings]) == 0
    assert runs.read_config(run)["finetuned_from"]["run"] == shipped
    assert f"lenet5 of {shipped} on mnist" in capsys.readouterr().out


def test_the_error_for_an_unknown_name_lists_the_models(shipped, tmp_path, capsys):
    assert cli.main(["export", "pretrained:digit", "--to", str(tmp_path / "x")]) == 1
    assert capsys.readouterr().err == (
        "fovea: error: There is no such model (did you mean digits?); those that "
        "come with the package are pretrained:digits. Received: pretrained:digit\n"
    )
    assert not (tmp_path / "x").exists()


def test_no_path_of_the_machine_is_packed(run_directory, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("model.keras", "metrics.json"):
        (run / name).write_bytes((run_directory / name).read_bytes())
    config = runs.read_config(run_directory)
    config |= {"data_source": "/home/me/data/mnist.npz", "from": [{"a": "/home/me/b"}]}
    runs.write_json(run / "config.json", config)
    packed = runs.read_config(packing.pack(run, "x", tmp_path / "packed"))
    assert packed["data_source"] == "mnist.npz" and packed["from"] == [{"a": "b"}]


def test_packing_replaces_an_older_model(run_directory, tmp_path):
    first = packing.pack(run_directory, "x", tmp_path)
    (first / "old").write_text("old")
    packing.pack(run_directory, "x", tmp_path)
    assert not (first / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_weights_that_cannot_be_packed_are_rejected(
    run_directory, tmp_path, monkeypatch
):
    import keras

    model = load_model(run_directory)
    model.get_layer("c3").kernel.assign(model.get_layer("c3").kernel * 1e6)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_bytes((run_directory / "config.json").read_bytes())
    model.save(run / "model.keras")
    with pytest.raises(ValueError, match=r"within \+-65504. Received: c3/kernel"):
        packing.pack(run, "x", tmp_path / "packed")
    monkeypatch.setattr(packing, "LARGEST", 100_000)
    with pytest.raises(ValueError, match=r"may have 0 MB. Received: 0\.1 MB"):
        packing.pack(run_directory, "x", tmp_path / "packed")
    assert not (tmp_path / "packed" / "x").exists()
    assert keras.backend.floatx() == "float32"


def test_damaged_weights_are_reported(packed, tmp_path):
    for name in ("config.json", "weights.npz"):
        (tmp_path / name).write_bytes((packed / name).read_bytes()[:20_000])
    with pytest.raises(ValueError, match="does not hold the weights of its model: "):
        load_model(tmp_path)


@pytest.mark.parametrize("name", pretrained.names())
def test_what_is_shipped_loads_and_is_small(name):
    model = pretrained.load(name)
    directory = pretrained.locate(f"pretrained:{name}")
    config = json.loads((directory / "config.json").read_text())
    height, width, channels = config["input_shape"]
    predicted = model.predict(
        np.zeros((1, height, width, channels), np.uint8), verbose=0
    )
    assert (
        predicted.shape == (1, config["num_classes"]) and np.isfinite(predicted).all()
    )
    size = sum(path.stat().st_size for path in directory.iterdir())
    assert size < packing.LARGEST
    assert "test" in runs.read_metrics(directory)
