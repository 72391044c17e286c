"""The models of the recordings, and servers started on them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import shared
from tests.server.fidelity.replay import SCENARIOS, Scenario, Target

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models, written by a separate process, since that needs Keras."""

    def write(directory: Path) -> None:
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
        environment.pop("TF_USE_LEGACY_KERAS", None)
        subprocess.run(
            [sys.executable, "-m", "tests.server.fidelity.make_models", directory],
            check=True,
            cwd=ROOT,
            env=environment,
            stderr=subprocess.DEVNULL,
        )

    return shared.directory(tmp_path_factory, "fidelity", write)


@pytest.fixture(scope="session")
def start(
    kit: Any, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Scenario], contextlib.AbstractContextManager[Target]]:
    """start(scenario) runs the embedded server until the end of a `with`."""

    @contextlib.contextmanager
    def start(scenario: Scenario) -> Iterator[Target]:
        port, rest = kit.free_port(), kit.free_port()
        flags = [flag.replace("$MODELS", str(models)) for flag in scenario.flags]
        log_file = tmp_path_factory.mktemp("log") / "server.log"
        with log_file.open("wb") as log:
            command = kit.server_command(
                f"--port={port}", f"--rest_api_port={rest}", *flags
            )
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            kit.until(
                lambda: (
                    process.poll() is not None
                    or (kit.is_open(port) and kit.is_open(rest))
                ),
                log_file,
            )
            assert process.poll() is None, log_file.read_text()
            yield Target(f"127.0.0.1:{port}", f"127.0.0.1:{rest}", str(models))
        finally:
            process.kill()
            process.wait()

    return start


@pytest.fixture(scope="session")
def steady(start: Any) -> Iterator[Target]:
    """The server of most requests."""
    with start(SCENARIOS["steady"]) as target:
        yield target
