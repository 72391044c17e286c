"""The programs in examples/, run as a user runs them."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.slow


def run(program, *words, cwd, data_dir=""):
    done = subprocess.run(
        [sys.executable, EXAMPLES / program, *map(str, words)],
        cwd=cwd,
        env={
            **os.environ,
            "FOVEA_DATA_DIR": str(data_dir),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def trained(work, data_dir):
    """The output of train_mnist.py, which writes exported/example/1."""
    return run("train_mnist.py", cwd=work, data_dir=data_dir).stdout


@pytest.fixture(scope="module")
def server(work, trained):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = work / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "fovea", "serve", f"--port={port}", "--model_name=example"),
                f"--model_base_path={work / 'exported' / 'example'}",
            ],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 120
        while "Running gRPC ModelServer" not in log.read_text():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def picture(work, digits):
    path = work / "digit.png"
    Image.fromarray(digits.x_test[0, ..., 0]).save(path)
    return path


def test_train_mnist(trained):
    assert float(re.search(r"accuracy ([\d.]+) on 200 test images", trained)[1]) > 0.5
    assert trained.endswith("exported exported/example/1\n")


def test_train_mnist_is_short():
    assert len((EXAMPLES / "train_mnist.py").read_text().splitlines()) < 40


def test_query(server, picture, work):
    bad = work / "bad.png"
    bad.write_text("no picture")
    done = run("query.py", server, "example", picture, bad, cwd=work)
    assert re.fullmatch(rf"{picture}: \d \([01]\.\d+\)\n", done.stdout)
    assert done.stderr.startswith(f"{bad}: ")


def test_query_async(server, picture, work):
    done = run("query_async.py", server, picture, "example", "example", cwd=work)
    assert re.fullmatch(r"(example: \d \([01]\.\d+\)\n)\1", done.stdout)


def test_own_labels(work, digits):
    for name, wanted in (("zero", 0), ("one", 1)):
        folder = work / "pictures" / name
        folder.mkdir(parents=True)
        images = digits.x_train[digits.y_train == wanted][:40, ..., 0]
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{number}.png")
    text = run("own_labels.py", work / "pictures", cwd=work).stdout
    assert "80 pictures of one, zero" in text
    assert float(re.search(r"validation accuracy ([\d.]+)", text)[1]) > 0.5
    labels = work / "exported" / "own" / "1" / "assets" / "labels.txt"
    assert labels.read_text().split() == ["one", "zero"]
