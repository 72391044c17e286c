"""What a client costs: installed size, import time, start of the command.

    python benchmarks/client.py [--model exported/demo --image FILE.png]

Makes two fresh virtual environments, one with fovea's base install and one with
tensorflow-serving-api, and compares them. With a model and an image it also
starts the embedded server (which needs fovea's `serve` extra in the environment
that runs this script) and times whole `fovea predict` processes against it.
"""

import argparse
import contextlib
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMPORTS = 7
PREDICTIONS = 21
OFFICIAL = "tensorflow-serving-api"


def main() -> None:
    """Print the figures as a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="an exported model's directory")
    parser.add_argument("--image", type=Path, help="an image for it")
    args = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print(f"{len(os.sched_getaffinity(0))} CPUs; median (minimum to maximum)\n")
    print("| | fovea, base install | tensorflow-serving-api |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        fovea = make_environment(Path(directory) / "fovea", str(ROOT))
        official = make_environment(Path(directory) / "official", OFFICIAL)
        sizes = [f"{installed_megabytes(e):,.0f} MB" for e in (fovea, official)]
        print(f"| installed size, dependencies included | {sizes[0]} | {sizes[1]} |")
        module = "tensorflow_serving.apis.prediction_service_pb2_grpc"
        ours = import_seconds(fovea, "from fovea import Client")
        theirs = import_seconds(official, f"import {module}")
        print(f"| import, whole process, {IMPORTS} runs | {ours} | {theirs} |")
        if args.model and args.image:
            whole, response = predict_seconds(fovea, args.model, args.image)
            beyond = [seconds - statistics.median(response) for seconds in whole]
            print(f"\n`fovea predict`, one image, {PREDICTIONS} processes:")
            print(
                f"whole process {spread(whole)}; the server's response alone ", end=""
            )
            print(f"{spread(response)}; beyond it {spread(beyond)}")


def make_environment(path: Path, package: str) -> Path:
    """Install a package into a new virtual environment; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", path], check=True)
    python = path / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", package]
    subprocess.run([*command, "-c", ROOT / "constraints.txt"], check=True)
    return python


def installed_megabytes(python: Path) -> float:
    """Return what the environment holds beyond pip and setuptools, in 10^6 bytes."""
    total = 0
    for package in python.parents[1].glob("lib/python*/site-packages/*"):
        if package.name.partition("-")[0] not in ("pip", "setuptools"):
            files = package.rglob("*") if package.is_dir() else [package]
            total += sum(f.lstat().st_size for f in files if not f.is_dir())
    return total / 1e6


def import_seconds(python: Path, statement: str) -> str:
    """Time whole processes that import and exit, after one that compiles."""
    command = [python, "-c", statement]
    subprocess.run(command, check=True, capture_output=True, cwd="/")
    return spread([timed(command) for _ in range(IMPORTS)])


def predict_seconds(python: Path, model: Path, image: Path):
    """Return seconds of whole processes, and of the request within one process."""
    sys.path.insert(0, str(ROOT))
    from fovea import Client

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "fovea.serving.server"]
    command += [f"--port={address.split(':')[1]}", f"--model_name={model.name}"]
    command += [f"--model_base_path={model.resolve()}"]
    server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        with Client(address, timeout=60, wait_for_ready=True) as client:
            client.predict([image], model=model.name)
            latencies = []
            for _ in range(PREDICTIONS):
                started = time.perf_counter()
                client.predict([image], model=model.name)
                latencies.append(time.perf_counter() - started)
        command = [python.parent / "fovea", "predict", image]
        command += ["--server", address, "--model", model.name]
        timed(command)
        return [timed(command) for _ in range(PREDICTIONS)], latencies
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()
        server.wait()


def timed(command: list) -> float:
    """Run a command that must succeed; return its seconds."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def spread(seconds: list[float]) -> str:
    """Return median and range, in words."""
    low, high = min(seconds), max(seconds)
    return f"{statistics.median(seconds):.3f} s ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
