"""The deployment guide, command by command, and the effect of stopping."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.container.machine import (
    HEALTH,
    ROOT,
    in_terminal,
    is_open,
)

GUIDE = (ROOT / "docs" / "guides" / "deploy.md").read_text()
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", GUIDE, re.M | re.S)
CONFIG = re.search(r"^```\n(model_config_list.*?)^```$", GUIDE, re.M | re.S)[1]


def lines(block: str) -> list[str]:
    """The commands of a block; the last one starts a server."""
    return block.strip().splitlines()


def labels(printed: str) -> list[str]:
    """Return the labels that `fovea predict` prints for 0.png, 1.png, ..., in order."""
    return [label for _, label in re.findall(r"(\d)\.png\W+(\d)\b", printed)]


def labelled(label: str) -> int | None:
    """Return the version of mnist with a label; None if there is no such label."""
    url = f"http://127.0.0.1:8501/v1/models/mnist/labels/{label}/metadata"
    try:
        with urlopen(url, timeout=30) as response:
            return int(json.load(response)["model_spec"]["version"])
    except HTTPError:
        return None


def until(condition, what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)


def test_three_commands_from_a_run_to_predictions(machine, bases, tmp_path):
    shutil.rmtree(machine.checkout / "exported" / "mnist")
    export, build, run = lines(COMMANDS[0])
    machine.run(export)
    machine.run(build)
    with in_terminal(machine, run, tmp_path / "log"):
        # A network makes mistakes after one epoch; the one included in fovea does not.
        assert len(labels(machine.run(COMMANDS[1]))) == 10
        printed = machine.run(COMMANDS[1].replace("mnist", "digits"))
        assert labels(printed) == list("0123456789")


def test_the_embedded_server_runs_as_nobody_and_drains(machine, embedded, tmp_path):
    run = lines(COMMANDS[0])[-1].replace(" fovea", f" {embedded}")
    log = tmp_path / "log"
    with in_terminal(machine, run, log) as server:
        status = Path(f"/proc/{server}/status").read_text()
        assert re.search(r"^Uid:\s+65532\s+65532", status, re.M)
        assert re.search(r"^CapEff:\s+0+$", status, re.M)
        printed = machine.run(COMMANDS[1].replace("mnist", "digits"))
        assert labels(printed) == list("0123456789")
    assert "Drained: every accepted request has ended" in log.read_text()


def test_a_version_is_rolled_out_and_back_while_the_server_runs(
    machine, bases, tmp_path
):
    make_config, run = lines(COMMANDS[2])
    exported = machine.checkout / "exported"
    shutil.rmtree(exported / "mnist", ignore_errors=True)
    (exported / "models.config").unlink(missing_ok=True)
    machine.run("fovea export runs/lenet5 --to exported/mnist")
    machine.run(make_config)
    with in_terminal(machine, run, tmp_path / "log"):
        assert labelled("stable") == 1
        machine.run("fovea export pretrained:mnist --to exported/mnist")
        replace(exported / "models.config", CONFIG)
        until(lambda: labelled("canary") == 2, "no canary")
        assert labelled("stable") == 1
        canary = machine.run(f"{COMMANDS[1].strip()} --label canary")
        assert labels(canary) == list("0123456789")

        back = re.sub(r" versions: 2| *version_labels.*canary.*\n", "", CONFIG)
        replace(exported / "models.config", back)
        until(lambda: labelled("canary") is None, "canary is still there")
        assert labelled("stable") == 1
    (exported / "models.config").unlink()


def test_tls(machine, embedded, tmp_path):
    tls = machine.checkout / "tls"
    tls.mkdir()
    machine.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout tls/key.pem -out tls/cert.pem"
    )
    key, certificate = (
        (tls / name).read_text().replace("\n", "\\n")
        for name in ("key.pem", "cert.pem")
    )
    text = f'server_key: "{key}"\nserver_cert: "{certificate}"\n'
    (tls / "ssl.config").write_text(text)
    command = COMMANDS[3].replace(" fovea ", f" {embedded} ")
    ready = functools.partial(is_open, 8500)
    with in_terminal(machine, command, tmp_path / "log", ready=ready):
        credentials = grpc.ssl_channel_credentials((tls / "cert.pem").read_bytes())
        with grpc.secure_channel("localhost:8500", credentials) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            reply = health.Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
        # What the guide states about the health check.
        assert subprocess.run([HEALTH, "8500"], capture_output=True).returncode == 1
