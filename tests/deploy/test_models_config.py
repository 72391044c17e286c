"""deploy/docker/models_config.py, and that the server accepts its output."""

import subprocess
import sys
from pathlib import Path

import pytest

from fovea.serving.server.lifecycle.model_config import validate
from fovea.serving.server.text_proto import read_text_proto

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "docker" / "models_config.py"


def run(exported):
    # As in an image: a Python without fovea.
    return subprocess.run(
        [sys.executable, "-I", "-S", SCRIPT, exported], capture_output=True, text=True
    )


def add(exported, model, *versions):
    for version in versions:
        (exported / model / version).mkdir(parents=True)
        (exported / model / version / "saved_model.pb").touch()


def read(exported):
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = read_text_proto(str(exported / "models.config"), ModelServerConfig())
    validate(config.model_config_list)
    return {
        model.name: (
            model.base_path,
            list(model.model_version_policy.specific.versions),
            dict(model.version_labels),
        )
        for model in config.model_config_list.config
    }


def test_every_model_is_served_by_its_newest_version(tmp_path):
    add(tmp_path, "mnist", "2", "10", "9")
    add(tmp_path, "cifar-10.v2", "1")
    (tmp_path / "mnist" / "11").mkdir()  # no model in it
    (tmp_path / "mnist" / ".exporting-x").mkdir()
    (tmp_path / "notes").mkdir()
    assert run(tmp_path).returncode == 0
    assert read(tmp_path) == {
        "cifar-10.v2": ("/models/cifar-10.v2", [1], {"stable": 1}),
        "mnist": ("/models/mnist", [10], {"stable": 10}),
    }


def test_an_existing_file_is_kept(tmp_path):
    add(tmp_path, "mnist", "1")
    (tmp_path / "models.config").write_text("model_config_list {}")
    done = run(tmp_path)
    assert done.returncode == 0 and "stays as it is" in done.stdout
    assert (tmp_path / "models.config").read_text() == "model_config_list {}"


@pytest.mark.parametrize("model", [None, 'mn"ist', "mn ist"])
def test_directories_that_cannot_be_served_are_rejected(tmp_path, model):
    if model:
        add(tmp_path, model, "1")
    done = run(tmp_path)
    assert done.returncode == 1 and "Received: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "models.config").exists()


def test_the_example_in_the_guide_is_accepted(tmp_path):
    text = (ROOT / "docs" / "guides" / "deploy.md").read_text()
    start = text.index("```\nmodel_config_list") + 4
    (tmp_path / "models.config").write_text(text[start : text.index("```", start)])
    assert read(tmp_path) == {
        "mnist": ("/models/mnist", [1, 2], {"stable": 1, "canary": 2})
    }
