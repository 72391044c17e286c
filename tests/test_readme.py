"""README.md and the guides, followed by a new user: every command, in order.

All documents share one checkout. A command that occurs in several of them is executed
once, at its first occurrence.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDES = [
    ROOT / "docs" / "getting-started.md",
    *(
        ROOT / "docs" / "guides" / f"{name}.md"
        for name in ("train", "export", "serve", "query", "explain")
    ),
]
SECONDS = 600  # time limit of a command: the machine may be busy
PORTS = (8500, 8510, 8511, 8600)  # of these commands
# Commands that keep a terminal busy, and what they print when they are ready.
LASTING = {
    "fovea serve": "Running gRPC ModelServer",
    "fovea web": "http://127.0.0.1:8600",
}


def commands(*documents):
    """Return (language, code) for each line of a `sh` and for each `python` block."""
    found = {}  # as an ordered set
    for document in documents:
        blocks = re.findall(
            r"^```(sh|python)\n(.*?)^```$", document.read_text(), re.M | re.S
        )
        for language, code in blocks:
            pieces = code.splitlines() if language == "sh" else [code]
            found |= {(language, piece): None for piece in pieces}
    return list(found)


ALL = commands(README, *GUIDES)
OF_README = commands(README)


@pytest.fixture
def checkout(tmp_path_factory):
    """A copy of the project whose .venv is the environment of these tests."""
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port} of the README's commands is in use")
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
    """Start a command that keeps a terminal busy, and wait until it is ready."""
    with log.open("w") as file:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
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
def test_every_command_of_the_readme_works(checkout, data_dir, tmp_path):
    execute(OF_README, checkout, data_dir, tmp_path)


@pytest.mark.nightly
@pytest.mark.readme
@pytest.mark.timeout(4 * SECONDS)
def test_every_command_works(checkout, data_dir, tmp_path):
    execute(ALL, checkout, data_dir, tmp_path)
    for picture in ("augmented.png", "runs/lenet5/inspect/inspect.html"):
        assert (checkout / picture).stat().st_size > 10_000


def execute(listed, checkout, data_dir, tmp_path):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
        "FOVEA_DATA_DIR": str(data_dir),
    }
    servers = []
    outputs = {}
    try:
        for number, (language, code) in enumerate(listed):
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
    demo = outputs["make demo"]
    assert "They are equal." in demo and "Next" in demo
    assert (checkout / "runs" / "demo" / "predictions.png").stat().st_size > 10_000
    predictions = next(text for code, text in outputs.items() if "Client(" in code)
    assert len(predictions.splitlines()) == 9
    assert (checkout / "why.png").stat().st_size > 10_000


def test_there_are_commands_to_run():
    assert len(ALL) >= 25
    assert 15 <= len(OF_README) < len(ALL)


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 200


def test_what_the_container_tests_run_is_in_the_deploy_guide():
    blocks = re.findall(r"^```bash\n(.*?)^```$", README.read_text(), re.M | re.S)
    guide = (ROOT / "docs" / "guides" / "deploy.md").read_text()
    assert blocks and all(block in guide for block in blocks)
