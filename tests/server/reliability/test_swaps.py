"""Versions added and removed under load, and unusual directories."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.serial]

ROOT = Path(__file__).parents[3]
AVAILABLE, END = (30, 0, ""), (50, 0, "")


@pytest.fixture(scope="module")
def base_path(kit, toys, tmp_path_factory):
    path = tmp_path_factory.mktemp("swaps") / "toy"
    path.mkdir()
    kit.copy_version(toys[1], path / "1")
    return path


@pytest.fixture(scope="module")
def server(kit, base_path):
    flags = ("--file_system_poll_wait_seconds=0.05", "--max_num_load_retries=0")
    with kit.running(base_path, base_path.with_name("log"), *flags) as server:
        yield server


@pytest.fixture
def becomes(kit, server):
    """becomes(...) waits until versions are in these states."""

    def becomes(**expected):
        wanted = {int(name[1:]): status for name, status in expected.items()}

        def reached():
            status = server.stubs.status()
            return all(status.get(n) == wanted[n] for n in wanted)

        kit.until(reached, server.log_file)

    return becomes


def test_swaps_and_rollbacks_under_load(kit, toys, server, base_path, becomes):
    """The long version, with a figure, is in benchmarks/faults.py."""
    request = base_path.with_name("request")
    request.write_bytes(kit.predict_request(x=[0.0]).SerializeToString())
    job = {"target": f"127.0.0.1:{server.port}", "request": str(request)}
    job |= {"seconds": 60, "clients": 4, "output": "y"}
    command = [sys.executable, "-m", "fovea.serving.client.loadtest.generator"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe
    ) as load:
        load.stdin.write(json.dumps(job).encode() + b"\n")
        load.stdin.flush()
        load.stderr.readline()  # it has begun
        for _ in range(5):
            kit.copy_version(toys[2], base_path / "2")
            becomes(_2=AVAILABLE, _1=END)
            shutil.rmtree(base_path / "2")
            becomes(_1=AVAILABLE, _2=END)
        load.send_signal(signal.SIGTERM)
        tally = json.loads(load.communicate()[0])
    assert tally["codes"] == {"OK": tally["sent"]}
    versions = {(reported, computed) for reported, computed, _ in tally["answers"]}
    assert versions == {(1, 1), (2, 2)}


def test_a_directory_that_is_empty_or_a_file(kit, server, base_path, becomes):
    (base_path / "7").mkdir()
    (base_path / "8").write_text("not a directory")
    try:
        for number in (7, 8):
            text = f"Version {number} of toy is not loaded yet: waiting for saved_model"
            kit.until(lambda text=text: text in server.log)
        assert server.stubs.status()[1] == AVAILABLE
        assert server.stubs.status().keys() == {1, 2}
    finally:
        (base_path / "7").rmdir()
        (base_path / "8").unlink()


def test_links(kit, toys, server, base_path, becomes):
    link = base_path / "3"
    link.symlink_to(base_path / "away")
    kit.until(lambda: "Version 3 of toy is not loaded yet" in server.log)
    assert server.stubs.status()[1] == AVAILABLE
    shutil.copytree(toys[2], base_path / "away")
    becomes(_3=AVAILABLE, _1=END)
    assert server.stubs.predict(kit.predict_request(x=[0.0])).outputs[
        "y"
    ].float_val == [2.0]
    link.unlink()
    becomes(_1=AVAILABLE, _3=END)
    shutil.rmtree(base_path / "away")


def test_a_read_only_directory(kit, toys, server, base_path, becomes):
    kit.copy_version(toys[2], base_path / "4")
    folders = [base_path / "4", *filter(Path.is_dir, (base_path / "4").rglob("*"))]
    for folder in folders:
        folder.chmod(0o555)
    try:
        becomes(_4=AVAILABLE, _1=END)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    shutil.rmtree(base_path / "4")
    becomes(_1=AVAILABLE, _4=END)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_directory_that_cannot_be_read(kit, toys, server, base_path, becomes):
    kit.copy_version(toys[2], base_path / "5")
    (base_path / "5").chmod(0)
    try:
        kit.until(lambda: "Version 5 of toy is not loaded yet" in server.log)
        assert server.stubs.status()[1] == AVAILABLE
    finally:
        (base_path / "5").chmod(0o755)
    becomes(_5=AVAILABLE, _1=END)
    shutil.rmtree(base_path / "5")
    becomes(_1=AVAILABLE, _5=END)


def test_a_directory_that_is_removed_while_it_is_served(
    kit, toys, server, base_path, becomes
):
    away = base_path.with_name("away")
    base_path.rename(away)
    missing = f"Could not find base path {base_path} for servable toy"
    kit.until(lambda: missing in server.log)
    server.stubs.predict(kit.predict_request(x=[0.0]))
    away.rename(base_path)

    shutil.copytree(toys[2], away)
    (base_path / "1").rename(base_path.with_name("one"))
    becomes(_1=END)  # an empty base path unloads
    away.rename(base_path / "6")
    becomes(_6=AVAILABLE)
    base_path.with_name("one").rename(base_path / "1")
    shutil.rmtree(base_path / "6")
    becomes(_1=AVAILABLE, _6=END)
    assert "Traceback" not in server.log
