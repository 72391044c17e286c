"""README.md as a stranger follows it: every command block, in order."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(
    r"^```(sh|python)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
)
SECONDS = 600  # of patience with a block: the machine may be busy
# Blocks beside the path from `make demo` to a picture of a load: tests of their own
# run these commands within one process.
ASIDE = (
    "fovea recipes",
    "fovea finetune",
    "fovea evaluate pretrained:",
    "fovea models",
    "fovea augment",
    "fovea inspect",
)
FIRST_PATH = [block for block in BLOCKS if not block[1].startswith(ASIDE)]
# What keeps a terminal busy, and what it says when it can be asked.
LASTING = {
    "fovea serve": "Running gRPC ModelServer",
    "fovea web": "asks the server at",
}


@pytest.fixture
def checkout(tmp_path_factory):
    """A copy of the project whose .venv is the environment that runs the tests."""
    directory = tmp_path_factory.mktemp("readme") / "fovea"
    at_the_top = shutil.ignore_patterns(
        ".*", "runs", "exported", "tests", "build", "dist", "*.egg-info"
    )
    anywhere = shutil.ignore_patterns("__pycache__")

    def ignored(folder, names):
        return (at_the_top if Path(folder) == ROOT else anywhere)(folder, names)

    shutil.copytree(ROOT, directory, symlinks=True, ignore=ignored)
    (directory / ".venv").mkdir()
    (directory / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (directory / ".venv" / ".ready").touch()
    return directory


def _start(command: str, ready: str, checkout: Path, environment: dict, log: Path):
    """Start a block that keeps a terminal busy, and wait until it is ready."""
    with log.open("w") as file:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command.strip()}"],
            cwd=checkout,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + SECONDS
    while ready not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    return process


@pytest.mark.readme
@pytest.mark.timeout(2 * SECONDS)
def test_the_first_path_works(checkout, data_dir, tmp_path):
    run_blocks(FIRST_PATH, checkout, data_dir, tmp_path)


@pytest.mark.nightly
@pytest.mark.readme
@pytest.mark.timeout(4 * SECONDS)
def test_every_command_block_works(checkout, data_dir, tmp_path):
    run_blocks(BLOCKS, checkout, data_dir, tmp_path)
    for picture in ("augmented.png", "runs/lenet5/inspect/inspect.html"):
        assert (checkout / picture).stat().st_size > 10_000


def run_blocks(blocks, checkout, data_dir, tmp_path):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
        "FOVEA_DATA_DIR": str(data_dir),
    }
    servers = []
    outputs = {}
    try:
        for number, (language, code) in enumerate(blocks):
            ready = LASTING.get(" ".join(code.split()[:2]))
            if ready:
                log = tmp_path / f"{number}.log"
                servers.append(_start(code, ready, checkout, environment, log))
                continue
            command = {
                "sh": ["bash", "-euc", code],
                "python": [sys.executable, "-c", code],
            }[language]
            done = subprocess.run(
                command,
                cwd=checkout,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
            assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
            outputs[code] = done.stdout
    finally:
        for server in servers:
            server.terminate()
        codes = [server.wait(timeout=SECONDS) for server in servers]
    assert codes == [0, 0, 0]
    demo = outputs["make demo\n"]
    assert "They are equal." in demo and "Next" in demo
    assert (checkout / "runs" / "demo" / "predictions.png").stat().st_size > 10_000
    asked = next(text for code, text in outputs.items() if "Client(" in code)
    assert len(asked.splitlines()) == 9
    assert (checkout / "why.png").stat().st_size > 10_000


def test_there_are_blocks_to_run():
    assert len(BLOCKS) >= 8
    assert len(FIRST_PATH) == len(BLOCKS) - len(ASIDE)


def test_links_and_pictures_exist():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
