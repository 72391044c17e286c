"""The image `train` trains, on the devices of its base's TensorFlow."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def image(machine, bases):
    machine.run("docker build --tag fovea-train --target train .")
    return "fovea-train"


def test_it_trains_into_a_directory_that_is_mounted(machine, image):
    work = machine.checkout
    work.chmod(0o777)  # what a user sets with --user
    machine.run(
        f"docker run --rm --volume $PWD:/workspace {image} train softmax_regression "
        "--dataset mnist --epochs 1 --run /workspace/trained"
    )
    assert (work / "trained" / "model.keras").stat().st_uid == 65532
    environment = json.loads((work / "trained" / "environment.json").read_text())
    assert environment["packages"]["tensorflow"] == "2.21.0"


def test_the_configuration_of_the_image(machine, image):
    config = machine.config(image)
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["fovea"]
    assert not [one for one in config["Env"] if "CERT" in one]
