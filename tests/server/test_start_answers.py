"""The output and exit code of TensorFlow Serving 2.20 for recorded command lines.

data/start.jsonl holds the recordings without log prefixes and time stamps, and
data/start the files that its flags name.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "data"
RECORDED = [
    json.loads(line) for line in (DATA / "start.jsonl").read_text().splitlines()
]

# The only results that differ, each for a reason.
DIFFERENT = {
    # TensorFlow Serving aborts with a stack trace.
    "ssl_missing": (
        255,
        [
            "Failed to start server. Error: NOT_FOUND: /nonexistent/ssl.config; No "
            "such file or directory"
        ],
    ),
    "version": (0, ["TensorFlow Library: 2.21.0"]),
}


@pytest.fixture(scope="module")
def places(kit, toys, tmp_path_factory):
    root = tmp_path_factory.mktemp("start")
    models, config = root / "models", root / "config"
    for version in (1, 2):
        (models / "affine").mkdir(parents=True, exist_ok=True)
        kit.copy_version(toys[version], models / "affine" / str(version))
    (models / "corrupt" / "1").mkdir(parents=True)
    (models / "corrupt" / "1" / "saved_model.pb").write_bytes(b"not a saved model")
    (models / "empty").mkdir()
    config.mkdir()
    places = {"$MODELS": str(models), "$CONFIG": str(config)}
    for file in (DATA / "start").iterdir():
        (config / file.name).write_text(fill(file.read_text(), places))
    return places


def fill(text, places):
    for name, path in places.items():
        text = text.replace(name, path)
    return text


def plain(line):
    """Return a line without its time stamp and without the parser's column."""
    line = re.sub(r"^\d{4}-\d\d-\d\d \S+ [IWE] ", "", line)
    return re.sub(r"(text-format \S+: \d+):\d+", r"\1", line)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["id"])
def test_the_start_is_that_of_tensorflow_serving(kit, places, tmp_path, recorded):
    places = places | {
        "$PORT": str(kit.free_port()),
        "$OTHER_PORT": str(kit.free_port()),
    }
    exit_code, expected = DIFFERENT.get(
        recorded["id"], (recorded["exit"], recorded["output"])
    )
    lines = {plain(fill(line, places)) for line in expected}
    lines = {line.replace("tensorflow_model_server", "PROGRAM") for line in lines}
    log = tmp_path / "log"

    def missing():
        text = log.read_text().replace("python -m fovea.serving.server", "PROGRAM")
        return lines - {plain(line) for line in text.splitlines()}

    with log.open("wb") as output:
        process = subprocess.Popen(
            kit.server_command(*(fill(flag, places) for flag in recorded["flags"])),
            stdout=output,
            stderr=output,
        )
    try:
        if exit_code == "still running":
            kit.until(lambda: process.poll() is not None or not missing(), log)
            kit.until(
                lambda: (
                    process.poll() is not None
                    or "Starting TensorFlow" in log.read_text()
                ),
                log,
            )
            assert process.poll() is None, log.read_text()
        else:
            assert process.wait(60) == exit_code, log.read_text()
        assert not missing(), log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()
