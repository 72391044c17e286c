"""Every image of the Dockerfile, built and run. `make test-container` runs this."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

DIGITS = "runs/demo/digits"


def inspected(machine, image):
    told = machine.buildah("inspect", "--type", "image", image)
    return json.loads(told)["Docker"]["config"]


def rootfs(machine, image):
    container = machine.buildah("from", "--pull-never", image)
    return container, Path(machine.buildah("mount", container))


def asked(machine, checkout, *arguments):
    """What `fovea predict` says of the digits: one label for each."""
    done = subprocess.run(
        ["fovea", "predict", *sorted(map(str, (checkout / DIGITS).glob("*.png")))]
        + ["--csv" if False else "--top", "1", *arguments],
        cwd=checkout,
        env=machine.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return re.findall(r"(\d)\.png +(\d) ", done.stdout)


@pytest.fixture(scope="module")
def serving(machine, bases):
    machine.docker("build", "--tag", "fovea", ".")
    return "fovea"


@pytest.mark.parametrize("target", ["embedded", "serving"])
def test_what_an_image_says_of_itself(machine, target, request):
    config = inspected(machine, request.getfixturevalue(target))
    assert config["User"] == "65532:65532"
    assert set(config["ExposedPorts"]) == {"8500/tcp", "8501/tcp"}
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "grpc-health", "8500"]
    assert "--model_config_file=/models/models.config" in config["Entrypoint"]
    assert not config["Cmd"]
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
