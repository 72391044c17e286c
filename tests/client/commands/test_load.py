"""`fovea load`: the requests that it sends and the report that it prints."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fovea import cli

ROOT = Path(__file__).parents[3]


@pytest.fixture
def load(server, capsys):
    """load(*words) -> (exit code, stdout, stderr)."""

    def run(*words, model="mnist", seconds=0.3):
        server.servicer.batches.clear()
        words = ["load", model, *map(str, words), "--server", server.target]
        code = cli.main([*words, "--duration", str(seconds), "--warm-up", "0"])
        return (code, *capsys.readouterr())

    return run


def test_a_table_with_a_row_for_each_load(load, server):
    code, out, _ = load("--closed", "1,3", "--deadline", 20, "--batch", 2)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith(f"mnist at {server.target}, 2 images per request, 0.3 s")
    assert lines[1].split()[:3] == ["load", "answered/s", "in"]
    assert [line.split()[:2] for line in lines[2:]] == [
        ["1", "client"],
        ["3", "clients"],
    ]
    for line in lines[2:]:
        rate, in_time, *milliseconds, failed = line.split()[2:]
        assert float(rate.replace(",", "")) > 0 and in_time == rate
        ordered = [float(ms.replace(",", "")) for ms in milliseconds]
        assert len(ordered) == 5 and ordered == sorted(ordered)
        assert failed == "0"
    assert set(server.servicer.batches["mnist"]) == {2}


def test_json_and_a_plot(load, tmp_path):
    words = ("--rate", "20,40", "--json", "--deadline", 20)
    code, out, _ = load(*words, "--plot", tmp_path / "load.png")
    report = json.loads(out)
    assert code == 0
    assert [each["rate"] > 0 for each in report["loads"]] == [True, True]
    for each in report["loads"]:
        assert each["codes"] == {"OK": each["sent"]}
        assert each["milliseconds"]["50"] <= each["longest"]
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
    load("--rate", 20, "--plot", tmp_path / "load.svg")
    assert "Latency over time" in (tmp_path / "load.svg").read_text()


def test_images_and_arrays(load, server, shade, tmp_path):
    for n in range(3):
        shade(n).save(tmp_path / f"{n}.png")
    code, _, _ = load("--closed", 1, "--images", tmp_path, "--batch", 2)
    assert code == 0 and set(server.servicer.batches["mnist"]) == {2}
    code, _, err = load("--closed", 1, "--signature", "encoded")
    assert (code, err) == (
        1,
        "fovea: error: No values can be generated for input 'image_bytes', which "
        "takes string [?]; choose what to send with --images or --npy.\n",
    )
    code, _, err = load("--closed", 1, "--signature", "encodings")
    assert code == 1 and "encoded" in err and err.endswith("Received: encodings\n")
    np.savez(tmp_path / "set.npz", x=np.zeros((5, 4, 4), np.uint8), y=np.zeros(5))
    code, _, _ = load(
        "--closed", 1, "--npy", tmp_path / "set.npz", "--array", "x", "--batch", 3
    )
    assert code == 0 and set(server.servicer.batches["mnist"]) == {3}
    code, _, err = load("--closed", 1, "--npy", tmp_path / "set.npz", "--array", "y")
    assert code == 1 and "uint8 [?, 4, 4, 1]. Received: float64 [1]" in err


def test_failures_are_counted_and_reported(load):
    """`busy` rejects two of three requests, and the load generator does not retry."""
    code, out, err = load("--closed", 1, "--json", model="busy")
    (result,) = json.loads(out)["loads"]
    assert code == 0
    assert result["codes"]["UNAVAILABLE"] > result["codes"]["OK"] > 0
    assert "failed with UNAVAILABLE: The batch queue is full" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rate", "20", "--plot", "load.gif"], "A plot is a .png or .svg file."),
        (["--rate", "20", "--plot", "no/load.png"], "no is not a directory"),
    ],
)
def test_options_are_checked_before_anything_is_sent(load, server, words, message):
    code, out, err = load(*words)
    assert (code, out) == (1, "") and message in err
    assert server.servicer.batches == {}


def test_a_model_that_does_not_exist(load):
    code, out, err = load("--rate", 20, model="nope")
    assert (code, out) == (1, "") and "no model 'nope'" in err


@pytest.mark.parametrize(
    "words", [[], ["--rate", "0"], ["--rate", "9,x"], ["--closed", "1.5"]]
)
def test_usage_errors(load, words, capsys):
    with pytest.raises(SystemExit) as caught:
        load(*words)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_ctrl_c_prints_the_measurements_so_far(server):
    command = [sys.executable, "-m", "fovea", "load", "mnist", "--rate", "30,50"]
    command += ["--duration=60", "--warm-up=0", "--json", f"--server={server.target}"]
    before = server.servicer.calls["mnist"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        under_way = threading.Event()
        while server.servicer.calls["mnist"] < before + 5:
            under_way.wait(0.05)
        os.kill(process.pid, signal.SIGINT)
        (result,) = json.loads(process.communicate(timeout=90)[0])["loads"]
    assert process.returncode == 130
    assert result["seconds"] < 30 and result["codes"]["OK"] >= 4
