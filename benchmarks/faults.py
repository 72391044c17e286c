"""What the server does under swaps, signals, overload and faults, as a table.

    python benchmarks/faults.py [--only swaps,overload]          (or: make bench-faults)

Each row starts a server of its own and loads it from another process on the same CPUs.
The tests in tests/server/reliability are the short form of the same.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PYTHON = sys.executable
LOAD = [PYTHON, "-m", "fovea.serving.client.loadtest.generator"]


@dataclass
class Server:
    """A running server and where its versions and requests are."""

    process: subprocess.Popen
    address: str
    base_path: Path
    work: Path

    def megabytes(self, what: str = "VmRSS") -> float:
        """Return its memory now, or its peak (VmHWM), in MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition(f"{what}:")[2].split()[0]) / 1024

    def log(self) -> str:
        """Return what it has logged."""
        return (self.base_path / "log").read_text()

    def load(self, request: str, **options: float | str) -> subprocess.Popen:
        """Start a load; the process prints the outcome when it ends."""
        process = subprocess.Popen(
            LOAD,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        job = {"target": self.address, "request": str(self.work / request)}
        assert process.stdin is not None
        process.stdin.write(json.dumps(job | options).encode() + b"\n")
        process.stdin.flush()
        assert process.stderr is not None
        process.stderr.readline()  # "started"
        return process


def outcome(load: subprocess.Popen) -> dict:
    """What came of it."""
    return json.loads(load.communicate()[0])


@contextlib.contextmanager
def server(work: Path, kind: str, *flags: str) -> Iterator[Server]:
    """A server on version 1 of a network."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base_path = Path(tempfile.mkdtemp(dir=work))
    publish(work / kind / "1", base_path / "1")
    with (base_path / "log").open("wb") as log:
        command = [PYTHON, "-m", "fovea.serving.server", f"--port={port}"]
        command += ["--model_name=toy", f"--model_base_path={base_path}", *flags]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Server(process, f"127.0.0.1:{port}", base_path, work)
    finally:
        process.kill()
        process.wait()


def publish(source: Path, target: Path) -> None:
    """Under another name, then rename."""
    hidden = target.with_name(f".{target.name}")
    shutil.copytree(source, hidden)
    hidden.rename(target)


def write_nets(work: Path) -> None:
    """The networks and the requests, by a process that ends: TensorFlow is large."""
    command = [PYTHON, "-m", "tests.server.reliability.nets", work]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)


# The rows. Each yields "what was done | the outcome".


def swaps(work: Path) -> Iterator[str]:
    """Replies that failed or came from the wrong version, 20 swaps in 60 s."""
    with server(work, "lenet5", "--grpc_max_threads=64") as running:
        load = running.load("lenet5.1", clients=6, seconds=60, output="version")
        second = running.base_path / "2"
        for _ in range(10):
            time.sleep(2.5)
            publish(work / "lenet5" / "2", second)
            time.sleep(2.5)
            shutil.rmtree(second)
        tally = outcome(load)
        loaded = running.log().count("Successfully loaded servable version")
    wrong = sum(n for expected, version, n in tally["answers"] if expected != version)
    failed = tally["sent"] - tally["codes"].get("OK", 0)
    yield (
        f"{loaded - 1} swaps and rollbacks of LeNet-5 under the load of 6 clients, "
        f"{tally['seconds']:.0f} s | {failed} of {tally['sent']:,} requests failed, "
        f"{wrong} from a wrong version, p99 {tally['milliseconds']['99']:.0f} ms, "
        f"longest {tally['longest']:.0f} ms"
    )


def sigterm(work: Path) -> Iterator[str]:
    """Accepted requests that a SIGTERM under load leaves unanswered, five times."""
    lost, of, codes, exits = 0, 0, Counter[str](), Counter[int]()
    for _ in range(5):
        with server(work, "lenet5", "--grpc_max_threads=64") as running:
            loop = running.load("lenet5.1", clients=4, seconds=30)
            flight = running.load("lenet5.256", clients=8, seconds=0.01)
            time.sleep(0.1)
            running.process.terminate()
            big = outcome(flight)
            exits[running.process.wait()] += 1
            loop.terminate()
            tallies = big, outcome(loop)
        for tally in tallies:
            unanswered = Counter(
                {
                    text: n
                    for text, n in tally["details"].items()
                    if "is shutting down" not in text  # refused, not accepted
                    and "failed to connect" not in text.lower()
                }
            )
            of += tally["codes"].get("OK", 0) + unanswered.total()
            lost += unanswered.total()
            codes.update(unanswered)
    yield (
        f"5 times SIGTERM with 8 requests of 256 images in flight and 4 clients that "
        f"go on | {lost} of {of:,} accepted requests unanswered, exit codes "
        f"{dict(exits)}{' ' + str(dict(codes)) if codes else ''}"
    )


def overload(work: Path) -> Iterator[str]:
    """Goodput at 1x, 3x and 10x of the capacity, requests of 16 images, 1 s each."""
    for kind, flags in (
        ("cifar", ()),
        ("cifar", ("--grpc_max_threads=64",)),
        ("lenet5", ()),
    ):
        with server(work, kind, *flags) as running:
            yield goodput(running, kind, flags)


def goodput(running: Server, kind: str, flags: Sequence[str]) -> str:
    """One row of overload."""
    request = f"{kind}.16"
    outcome(running.load(request, clients=4, seconds=2))
    closed = outcome(running.load(request, clients=4, seconds=5))
    capacity = closed["rate"]
    offered, good = [], []
    for factor in (1, 3, 10):
        rate = factor * capacity
        tally = outcome(running.load(request, rate=rate, seconds=5, timeout=1))
        # A generator that is late reads good responses late; they count all the same.
        good.append(tally["codes"].get("OK", 0) / tally["lasted"])
        offered.append(f"{tally['sent'] / tally['seconds']:.0f}")
    peak = max(capacity, *good)
    return (
        f"{' '.join([kind, *flags])}, capacity {capacity:.0f} requests/s of 16 images, "
        f"1 s deadline, {' / '.join(offered)} offered | goodput "
        f"{' / '.join(f'{one / peak:.2f}' for one in good)} of the peak, at most "
        f"{running.megabytes('VmHWM'):.0f} MB"
    )


def memory(work: Path) -> Iterator[str]:
    """Resident memory over 100 swaps of LeNet-5, without load."""
    flags = ("--file_system_poll_wait_seconds=0.05",)
    with server(work, "lenet5", *flags) as running:
        seen = []
        for number in range(2, 122):
            publish(work / "lenet5" / "2", running.base_path / str(number))
            while (
                f"Unloaded servable version {{name: toy version: {number - 1}}}"
                not in (running.log())
            ):
                time.sleep(0.02)
            shutil.rmtree(running.base_path / str(number - 1))
            if number % 20 == 1:
                seen.append(running.megabytes())
        yield (
            "resident memory after 20, 40 ... 120 swaps of LeNet-5 | "
            f"{', '.join(f'{one:.1f}' for one in seen)} MB: "
            f"{seen[-1] - seen[0]:+.1f} MB over the last 100"
        )


def connections(work: Path) -> Iterator[str]:
    """1,000 connections that say nothing."""
    with server(work, "lenet5") as running, contextlib.ExitStack() as stack:
        outcome(running.load("lenet5.1", clients=2, seconds=1))
        before = running.megabytes()
        host, port = running.address.split(":")
        for _ in range(1000):
            idle = stack.enter_context(socket.create_connection((host, int(port))))
            idle.sendall(
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0] * 3 + [4] + [0] * 5)
            )
        time.sleep(1)
        each = (running.megabytes() - before) * 1024 / 1000
        tally = outcome(running.load("lenet5.1", clients=2, seconds=2))
        yield (
            f"1,000 idle connections | {each:.0f} kB each; "
            f"{tally['codes'].get('OK', 0)} of {tally['sent']} requests on others "
            f"answered, p99 {tally['milliseconds']['99']:.0f} ms"
        )


ROWS = (swaps, sigterm, overload, memory, connections)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [row.__name__ for row in ROWS]
    parser.add_argument("--only", default=",".join(names), help=",".join(names))
    parser.add_argument("--work", type=Path, help="networks that were written before")
    args = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print(f"{len(os.sched_getaffinity(0))} CPUs\n\n| test | result |\n|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        work = args.work or Path(directory)
        if not args.work:
            write_nets(work)
        for row in ROWS:
            if row.__name__ in args.only.split(","):
                for text in row(work):
                    print(f"| {text} |", flush=True)


if __name__ == "__main__":
    main()
