"""Images per second through the client, beside the usual loops over the official stubs.

    python benchmarks/client_speed.py [--kind arrays files] [--images N] [--rounds R]

The embedded server serves LeNet-5 (untrained, as `serve_models.py` exports it) on the
CPUs that it shares with the client. The ways take turns, each classifies all images in
a process of its own that is running already. Two inputs: uint8 arrays of 28x28x1, and
as many PNG files of that size on disk. The loops over the official stubs are those of
TensorFlow Serving's examples: `tf.make_tensor_proto`, then `stub.Predict`, one image a
request; and 64 images a request. They get the files decoded by Pillow into arrays, for
the usual export has no other signature. Prints tables in Markdown.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import serve_processes as processes

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
MODEL, BATCH = "lenet5", 64
WARM_UP = 500  # images that are classified before the turns
WAYS = ("fovea", "official, one by one", "official, batches of 64")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", type=Path, metavar="DIR", help="keep models there")
    kinds = ["arrays", "files"]
    parser.add_argument("--kind", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        measure(*args.worker)
        return
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print(f"{len(os.sched_getaffinity(0))} CPUs; {args.images:,} images, ", end="")
    print(f"{args.rounds} turns of each way, median (minimum to maximum)\n")
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        models = (args.models or folder / "models").resolve()
        if not (models / MODEL).is_dir():
            command = [sys.executable, HERE / "serve_models.py", models]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        write_images(folder, args.images)
        server = processes.fovea(models)
        with processes.stopping(server):
            server.wait()
            for kind in args.kind:
                compare(kind, folder, server.address, args.rounds)


def write_images(folder: Path, count: int) -> None:
    """The same random digits' worth of pixels, as an array and as files."""
    from PIL import Image

    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1), np.uint8)
    np.save(folder / "images.npy", images)
    (folder / "files").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / "files" / f"{number:06}.png")


def compare(kind: str, folder: Path, address: str, rounds: int) -> None:
    """Print the table of one input."""
    workers = {
        way: processes.Worker(
            "client_speed.py", "--worker", way, folder / kind, address
        )
        for way in WAYS
    }
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    megabytes: dict[str, tuple[float, float]] = {}
    with processes.stopping(*workers.values()):
        seen = set()
        for turn in range(rounds + 1):
            for way, worker in workers.items():
                count = None if turn else WARM_UP
                rate, labels, before, after = worker.request(count)
                megabytes[way] = before, after
                if turn:
                    rates[way].append(rate)
                    seen.add(labels)
    assert len(seen) == 1, "the ways do not agree on the labels"
    print(f"| {kind} | images/s | fovea's rate to it | peak memory of the client |")
    print("|---|---|---|---|")
    for way in WAYS:
        ratios = [a / b for a, b in zip(rates["fovea"], rates[way], strict=True)]
        ratio = "" if way == "fovea" else f"{spread(ratios, 2)}"
        before, after = megabytes[way]
        print(f"| {way} | {spread(rates[way], 0)} | {ratio} ", end="")
        print(f"| {after:,.0f} MB, {after - before:,.0f} of it for the images |")
    print(flush=True)


def spread(values: list[float], digits: int) -> str:
    """Median and range."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def measure(way: str, source: str, address: str) -> None:
    """Ask about so many images (null: all) for each line that comes in."""
    import json

    sys.path.insert(0, str(ROOT))
    make = fovea_way if way == "fovea" else official_way
    classify = make(address, 1 if "one by one" in way else BATCH)
    before = peak_megabytes()
    for line in sys.stdin:
        images = load(source)[: json.loads(line)]
        started = time.perf_counter()
        labels = classify(images)
        rate = len(labels) / (time.perf_counter() - started)
        digest = hash(tuple(map(int, labels)))
        print(json.dumps([rate, digest, before, peak_megabytes()]), flush=True)


def load(source: str) -> "np.ndarray | list[Path]":
    """The array, or the paths of the files."""
    if Path(source).is_dir():
        return sorted(Path(source).iterdir())
    return np.load(Path(source).with_name("images.npy"))


def fovea_way(address: str, batch: int) -> Callable:
    """Client.predict on an array, predict_each on files."""
    from fovea import Client

    client = Client(address, timeout=60)

    def classify(images: "np.ndarray | list[Path]") -> list[str]:
        predictions = client.predict_each(images, model=MODEL, batch_size=batch)
        return [prediction.label for prediction in predictions]

    return classify


def official_way(address: str, batch: int) -> Callable:
    """The loop that everybody writes."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import grpc
    import tensorflow as tf
    from PIL import Image
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    stub = prediction_service_pb2_grpc.PredictionServiceStub(
        grpc.insecure_channel(address)
    )

    def read(path: Path) -> np.ndarray:
        return np.asarray(Image.open(path))[..., None]

    def classify(images: "np.ndarray | list[Path]") -> list[bytes]:
        labels: list[bytes] = []
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            if isinstance(part, list):
                part = np.stack([read(path) for path in part])
            request = predict_pb2.PredictRequest()
            request.model_spec.name = MODEL
            request.inputs["images"].CopyFrom(tf.make_tensor_proto(part))
            response = stub.Predict(request, timeout=60)
            labels += tf.make_ndarray(response.outputs["label"]).tolist()
        return labels

    return classify


def peak_megabytes() -> float:
    """The most resident memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
