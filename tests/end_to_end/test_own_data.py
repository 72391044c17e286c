"""A folder of the user's own images, from `fovea train` to a server's predictions."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from fovea import Client, cli
from fovea.training.runs import directory as runs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Not in the order of their digits: sorted by name.
WORDS = {0: "naught", 1: "one", 7: "seven"}


@pytest.fixture(scope="module")
def pictures(sample, tmp_path_factory):
    """Digits as files of several formats, larger than the model's input."""
    root = tmp_path_factory.mktemp("own") / "digits"
    suffixes = (".png", ".jpg", ".bmp", ".webp")
    for part, images, labels in (
        ("train", sample.x_train, sample.y_train),
        ("test", sample.x_test[:400], sample.y_test[:400]),
    ):
        for label, word in WORDS.items():
            (root / part / word).mkdir(parents=True)
            for place in np.flatnonzero(labels == label)[:150]:
                picture = Image.fromarray(images[place, ..., 0]).resize((44, 40))
                suffix = suffixes[place % len(suffixes)]
                picture.save(root / part / word / f"{place}{suffix}")
    return root


@pytest.fixture(scope="module")
def repository(pictures):
    run, model = pictures.parent / "run", pictures.parent / "exported" / "words"
    for words in (
        ("train", "lenet5", "--dataset", f"folder:{pictures}", "--run", run,
         "--epochs", 4, "--batch-size", 16, "--image-size", "28"),
        ("evaluate", run),
        ("export", run, "--to", model),
    ):  # fmt: skip
        assert cli.main(list(map(str, words))) == 0
    return model


@contextlib.contextmanager
def _serving(repository):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fovea", "serve", f"--port={port}"]
    command += ["--model_name", "words", "--model_base_path", str(repository)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT
    )
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=120)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=90)


def test_predicted_labels_are_the_folders_names(repository, pictures, capsys):
    labels = (repository / "1" / "assets" / "labels.txt").read_text().split()
    assert labels == ["naught", "one", "seven"]
    metrics = runs.read_metrics(pictures.parent / "run")
    names = [row["name"] for row in metrics["test"]["classes"]]
    assert names == labels
    files = sorted((pictures / "test").glob("*/*"))
    with _serving(repository) as address:
        with Client(address) as client:
            predictions = client.predict(files, model="words")
        words = ("predict", *files[:3], "--server", address, "--model", "words")
        capsys.readouterr()
        assert cli.main([*map(str, words), "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in rows] == [each.label for each in predictions[:3]]
    right = [
        prediction.label == file.parent.name
        for prediction, file in zip(predictions, files, strict=True)
    ]
    # Another process decodes the files: the same pixels, the same predictions.
    assert np.mean(right) == metrics["test"]["accuracy"] > 0.9
    wrong = {file for file, is_right in zip(files, right, strict=True) if not is_right}
    mistaken = {Path(mistake["file"]) for mistake in metrics["test"]["mistakes"]}
    assert mistaken == wrong
