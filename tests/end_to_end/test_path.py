"""From images to predictions: the commands, a server process and a socket."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from fovea import Client, ModelNotFound
from fovea.training.evaluation.evaluate import evaluate
from fovea.training.exporting.export import export
from fovea.training.runs import directory as runs
from fovea.training.runs.load import load_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOVEA = [sys.executable, "-m", "fovea"]


def fovea(*words, data_dir=None):
    environment = {**os.environ, "FOVEA_DATA_DIR": str(data_dir or "")}
    return subprocess.run(
        [*FOVEA, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=280,
    )


@pytest.fixture(scope="module")
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def repository(tmp_path_factory, data_dir):
    """exported/digits/1, made by the commands."""
    directory = tmp_path_factory.mktemp("end_to_end")
    run, model = directory / "run", directory / "exported" / "digits"
    settings = ("--augmentation", "none", "--batch-size", 32, "--epochs", 4)
    for words in (
        ("train", "lenet5", "--dataset", "mnist", "--run", run, *settings),
        ("evaluate", run),
        ("export", run, "--to", model),
    ):
        done = fovea(*words, data_dir=data_dir)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    return model


@pytest.fixture(scope="module")
def server(repository, port):
    process = subprocess.Popen(
        [
            *FOVEA,
            "serve",
            f"--port={port}",
            "--model_name",
            "digits",
            "--model_base_path",
            str(repository),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
    )
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=120)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=90)
            assert process.returncode == 0, output.decode()


@pytest.fixture
def address(server, port):
    return f"127.0.0.1:{port}"


def test_served_accuracy_is_the_accuracy_that_was_evaluated(
    address, repository, digits
):
    metrics = runs.read_metrics(repository.parents[1] / "run")
    with Client(address) as client:
        predictions = client.predict(digits.x_test, model="digits")
    served = np.mean([each.class_id for each in predictions] == digits.y_test)
    assert served == pytest.approx(metrics["test"]["accuracy"], abs=1e-6)
    assert served > 0.8
    assert {prediction.model_version for prediction in predictions} == {1}


def test_files_and_their_pixels_have_the_same_predictions(address, digits, tmp_path):
    paths = []
    for index in range(12):
        path = tmp_path / f"{index}.png"
        Image.fromarray(digits.x_test[index, ..., 0]).save(path)
        paths.append(path)
    with Client(address) as client:
        pixels = client.predict(digits.x_test[:12], model="digits")
        files = client.predict(paths, model="digits")
    for pixel, file in zip(pixels, files, strict=True):
        assert pixel.label == file.label
        assert pixel.probability == pytest.approx(file.probability, abs=1e-5)


def test_the_command_predicts_files_of_any_size_and_mode(address, digits, tmp_path):
    digit = Image.fromarray(digits.x_test[0, ..., 0])
    digit.resize((200, 140)).convert("RGB").save(tmp_path / "large.jpg")
    digit.convert("RGBA").save(tmp_path / "alpha.png")
    digit.convert("P").save(tmp_path / "palette.gif")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    whole = (tmp_path / "alpha.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    files = sorted(tmp_path.iterdir())
    done = fovea("predict", *files, "--server", address, "--model", "digits", "--json")
    assert done.returncode == 1
    rows = {Path(row["file"]).name: row for row in json.loads(done.stdout)}
    expected = str(digits.y_test[0])
    for name in ("large.jpg", "alpha.png", "palette.gif"):
        assert rows[name]["label"] == expected, rows[name]
    for name in ("notes.txt", "empty.png", "cut.png"):
        assert "error" in rows[name]
        assert done.stderr.count(name) == 1
    assert "Traceback" not in done.stderr


def test_a_new_version_is_served_without_a_restart(address, repository, digits):
    export(repository.parents[1] / "run", repository)
    deadline = time.monotonic() + 60
    with Client(address) as client:
        while time.monotonic() < deadline:
            (prediction,) = client.predict(digits.x_test[:1], model="digits")
            if prediction.model_version == 2:
                break
            time.sleep(0.2)
        assert prediction.model_version == 2
        with pytest.raises(ModelNotFound):
            client.predict(digits.x_test[:1], model="digits", version=7)
    shutil.rmtree(repository / "2")


def test_a_second_server_on_the_same_port_fails(server, repository, port):
    done = fovea(
        *("serve", "--model_name", "digits", "--port", port),
        *("--model_base_path", repository),
    )
    assert done.returncode != 0
    assert str(port) in done.stderr and "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_server_is_reported_in_one_sentence(tmp_path, digits):
    Image.fromarray(digits.x_test[0, ..., 0]).save(tmp_path / "0.png")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{free.getsockname()[1]}"
    done = fovea("predict", tmp_path / "0.png", "--server", nowhere, "--model", "x")
    assert done.returncode == 1
    assert nowhere in done.stderr and done.stderr.count("\n") == 1


def test_every_architecture_of_the_first_path_is_served_as_it_is_evaluated(
    digits, tmp_path
):
    """Softmax regression too: export, then call the saved functions in-process."""
    import tensorflow as tf

    from fovea.training.loop.train import train
    from fovea.training.recipes.schema import Recipe

    recipe = Recipe(epochs=2, batch_size=32)
    train("softmax_regression", digits, tmp_path / "run", recipe)
    version = export(tmp_path / "run", tmp_path / "digits")
    prediction = tf.saved_model.load(str(version)).signatures["serving_default"](
        images=tf.constant(digits.x_test)
    )
    accuracy = np.mean(prediction["class_id"].numpy() == digits.y_test)
    model = load_model(tmp_path / "run")
    inside = evaluate(model, digits.x_test, digits.y_test)
    assert accuracy == pytest.approx(inside["accuracy"], abs=1e-6)
