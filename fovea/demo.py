"""`fovea demo`: the whole path, from images to predictions over gRPC.

It uses training and serving as any user does: they meet in a directory on disk, and
the server is reached over a socket.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.models import backend
from fovea.training.rendering import image_grid
from fovea.training.runs import directory as runs
from fovea.training.runs.load import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fovea import Prediction
    from fovea.training.datasets.dataset import Dataset

RUN = Path("runs/demo")
REPOSITORY = Path("exported/demo")
PRINTED = 9
# Passes over the data: about as many steps for 4,000 images as for 60,000.
EPOCHS = {"mnist": 5, "mnist_sample": 30}
SERVER_START_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--data-dir", metavar="DIR", help="directory with mnist.npz (or FOVEA_DATA_DIR)"
    )
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="default: 5; 30 on the sample"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    print("Starting TensorFlow ...", flush=True)
    backend.prepare(args.debug)
    from fovea.training.evaluation.evaluate import evaluate
    from fovea.training.exporting.export import export
    from fovea.training.loop import train as training
    from fovea.training.recipes.schema import Recipe

    dataset = _load_digits(args.data_dir)
    where = f"{dataset.name} ({dataset.source})"
    if (RUN / "config.json").exists():  # of an earlier demo
        shutil.rmtree(RUN)

    _heading(f"1. Train LeNet-5 on the {len(dataset.x_train):,} images of {where}")
    epochs = EPOCHS[dataset.name] if args.epochs is None else args.epochs
    batch_size = 128 if len(dataset.x_train) > 10_000 else 32
    recipe = Recipe(epochs=epochs, batch_size=batch_size)
    metrics = training.train("lenet5", dataset, RUN, recipe)
    if metrics["status"] == "interrupted":
        raise KeyboardInterrupt
    print(f"{metrics['parameters']:,} parameters, {metrics['seconds']:.0f} s")

    _heading("2. Evaluate it in this process")
    model = load_model(RUN)
    inside = evaluate(model, dataset.x_test, dataset.y_test)
    runs.write_json(
        RUN / "metrics.json",
        {
            **metrics,
            "test": {"dataset": dataset.name, "source": dataset.source, **inside},
        },
    )
    print(
        f"accuracy {inside['accuracy']:.4f} on the {inside['images']:,} test images "
        f"of {dataset.name}"
    )

    _heading("3. Export it as a SavedModel")
    version = export(RUN, REPOSITORY)
    print(f"version {version.name}: {version}")

    _heading("4. Serve it and query it over gRPC")
    with _server(REPOSITORY) as port:
        from fovea import Client

        with Client(f"127.0.0.1:{port}", timeout=30) as client:
            first = client.predict(dataset.x_test[:PRINTED], model=REPOSITORY.name)
            _print_predictions(dataset, first)
            started = time.perf_counter()
            served = client.predict(
                dataset.x_test, model=REPOSITORY.name, batch_size=250
            )
            seconds = time.perf_counter() - started
    _write_pictures(dataset, served)
    predicted = np.array([prediction.class_id for prediction in served])
    served_accuracy = float((predicted == dataset.y_test).mean())
    rate = len(served) / seconds

    _heading(f"Result on {where}")
    print(f"served accuracy      {served_accuracy:.6f}  ({rate:,.0f} images/s)")
    print(f"in-process accuracy  {inside['accuracy']:.6f}")
    equal = abs(served_accuracy - inside["accuracy"]) <= 1e-6
    print("They are equal." if equal else "THEY DIFFER: something is wrong.")
    print(f"pictures: {RUN / 'predictions.png'}, {RUN / 'digits'}")
    _heading("Next")
    print(
        f"fovea serve --model_name {REPOSITORY.name} "
        f"--model_base_path {REPOSITORY.resolve()} --port 8500\n"
        f"fovea predict {RUN / 'digits' / '*.png'} --server 127.0.0.1:8500 "
        f"--model {REPOSITORY.name}\n"
        "fovea train softmax_regression --dataset "
        f"{dataset.name}"
    )
    return 0 if equal else 1


def _load_digits(data_dir: str | None) -> Dataset:
    from fovea.training.datasets import load

    try:
        return load.load("mnist", data_dir)
    except FileNotFoundError as error:
        line = "!" * 78
        print(
            f"{line}\n"
            "MNIST was not found, so this demo runs on a SAMPLE of it: 5,000 digits.\n"
            "Its results are those of mnist_sample.\n"
            f"{textwrap.fill(str(error), 78, break_on_hyphens=False)}\n{line}"
        )
        return load.load(load.SAMPLE)


@contextlib.contextmanager
def _server(repository: Path) -> Iterator[int]:
    """Run the embedded server while the context lasts; yield its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = RUN / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "fovea.serving.server"),
                f"--port={port}",
                f"--model_name={repository.name}",
                f"--model_base_path={repository.resolve()}",
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_serving(process, port, log)
        print(f"the embedded server is listening on 127.0.0.1:{port}")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise OSError(
            f"The server ended with exit code {process.returncode}; its log is {log}"
        )


def _wait_until_serving(process: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        # The port opens when the model is loaded and warmed up.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.1)
    raise OSError(f"The server did not start; its log is {log}")


def _print_predictions(dataset: Dataset, predictions: Sequence[Prediction]) -> None:
    """Print the first test images side by side, each with its prediction."""
    blocks = []
    for image, label, prediction in zip(
        dataset.x_test, dataset.y_test, predictions, strict=False
    ):
        # MNIST's digits lie in the middle 20 x 20 pixels.
        art = image_grid.terminal_art(image[4:24, 4:24], width=20)
        mark = "" if prediction.class_id == label else "  WRONG"
        caption = (
            f"true {label}, predicted {prediction.label} "
            f"{prediction.probability:.1%}{mark}"
        )
        blocks.append([*art, caption])
    columns = 3
    for row in range(0, len(blocks), columns):
        for lines in zip(*blocks[row : row + columns], strict=True):
            print("   ".join(f"{line:<24}" for line in lines).rstrip())
        print()


def _write_pictures(dataset: Dataset, predictions: Sequence[Prediction]) -> None:
    """Write predictions.png, and some test images as files to predict."""
    from PIL import Image

    names = dataset.class_names
    wrong = [
        index
        for index, prediction in enumerate(predictions)
        if prediction.class_id != dataset.y_test[index]
    ]
    wrong.sort(key=lambda index: predictions[index].probability, reverse=True)
    first = 3 * image_grid.GRID_COLUMNS
    chosen = [*range(min(first, len(predictions))), *wrong[: image_grid.GRID_COLUMNS]]
    image_grid.prediction_grid(
        RUN / "predictions.png",
        dataset.x_test[chosen],
        [names[dataset.y_test[index]] for index in chosen],
        [predictions[index].label for index in chosen],
        [predictions[index].probability for index in chosen],
        f"LeNet-5's predictions over gRPC: the first {first} test images of "
        f"{dataset.name}, and its most confident mistakes among {len(predictions):,}",
    )
    directory = RUN / "digits"
    directory.mkdir(exist_ok=True)
    for index in range(PRINTED):
        path = directory / f"{index}_is_{dataset.y_test[index]}.png"
        Image.fromarray(dataset.x_test[index, ..., 0]).save(path)


def _heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)
