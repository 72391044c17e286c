"""How fast the server is, beside its floor and its ceiling.

    python benchmarks/serve.py [--part PART ...] [--model NAME ...] [--rounds N]
                   [--seconds S] [--target HOST:PORT]          (or: make bench-serve)

Parts: `closed`, so many requests in flight all the time; `open`, so many requests per
second whatever becomes of them; `start`, from the start of the process to health
SERVING.

What is compared takes turns, on the CPUs that server and load generator share: the
server with and without batching, an empty gRPC server with messages of the same sizes
(the floor), and the SavedModel without any server, at the batch size and the number of
callers that are best for it (the ceiling). `--target` measures any running server in
the place of the first two, such as tensorflow_model_server; it must serve the models
that `serve_models.py` writes (`--models` keeps them). Prints tables in Markdown.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import serve_processes as processes
from serve_models import MODELS, request_file

PREDICT = "/tensorflow.serving.PredictionService/Predict"
REPLY_BYTES = 170  # for each image: ten probabilities, a label and a class
ECHO = str(Path(__file__).resolve().parent / "serve_echo.py")
CPUS = len(os.sched_getaffinity(0))
BATCHED = "fovea, batching"
MAX_BATCH = 32  # a larger request is refused by a server that batches
BATCHING = f"""
max_batch_size {{ value: {MAX_BATCH} }} batch_timeout_micros {{ value: 1000 }}
num_batch_threads {{ value: 2 }} max_enqueued_batches {{ value: 100 }}
"""


@dataclass(frozen=True)
class Row:
    """Requests of so many images, so many in flight."""

    model: str
    images: int
    concurrency: int


ROWS = (
    Row("lenet5", 1, 1),
    Row("lenet5", 1, 32),
    Row("lenet5", 256, 4),
    Row("cifar", 1, 1),
    Row("cifar", 1, 32),
    Row("cifar", 32, 4),
)
RATES = {"lenet5": (500, 1000, 2000, 3000), "cifar": (100, 200, 300, 400)}


@dataclass
class Turns:
    """The results of the turns of one way."""

    rates: list[float]
    p50: list[float]
    p99: list[float]
    client_cpus: list[float]
    failed: int = 0

    @classmethod
    def none(cls) -> "Turns":
        """Before the first turn."""
        return cls([], [], [], [])

    def add(self, outcome: dict, images: int) -> None:
        """One more turn."""
        self.rates.append(outcome["rate"] * images)
        self.p50.append(outcome["milliseconds"]["50"])
        self.p99.append(outcome["milliseconds"]["99"])
        self.client_cpus.append(outcome["cpus"])
        self.failed += outcome["sent"] - outcome["codes"].get("OK", 0)


class Bench:
    """The processes that take turns, started once.

    Args:
        directory: Has the models and the requests.
        models: Those to measure.
        target: A server that runs already; None for fovea's own, both ways.
        rounds: Turns of each way.
        seconds: Length of a turn.
    """

    def __init__(
        self,
        directory: Path,
        models: list[str],
        target: str | None,
        rounds: int,
        seconds: float,
    ) -> None:
        self._directory = directory
        self._models = models
        self._rounds = rounds
        self._seconds = seconds
        self._load = processes.Worker("-mfovea.serving.client.loadtest.generator")
        self._servers: dict[str, processes.Server] = {}
        if target is None:
            parameters = directory / "batching.config"
            parameters.write_text(BATCHING)
            self._servers["fovea"] = processes.fovea(directory)
            self._servers[BATCHED] = processes.fovea(
                directory,
                "--enable_batching",
                f"--batching_parameters_file={parameters}",
                "--grpc_max_threads=64",
            )
        for server in self._servers.values():
            server.wait()
        self._targets = {name: s.address for name, s in self._servers.items()}
        if target is not None:
            self._targets[target] = target
        sizes = [REPLY_BYTES * row.images for row in ROWS]
        echo = ECHO, str(4 * CPUS), *map(str, sizes)
        self._echo = processes.Server(echo, "{}")

    def stop(self) -> None:
        """End all processes."""
        for process in (self._load, self._echo, *self._servers.values()):
            process.stop()

    def closed(self) -> Iterable[str]:
        """The lines of the table with so many requests in flight."""
        yield (
            "| model, images per request | in flight | way | images/s | p50 ms "
            "| p99 ms | CPUs of the client | to echo | to in-process "
            "| to in-process on the CPUs left |"
        )
        yield "|---|---|---|---|---|---|---|---|---|---|"
        for model in self._models:
            ceiling = Ceiling(self._directory / model / "1", min(0.5, self._seconds))
            with processes.stopping(ceiling):
                for number, row in enumerate(ROWS):
                    if row.model == model:
                        yield from self._row(number, row, ceiling)

    def _row(self, number: int, row: Row, ceiling: "Ceiling") -> Iterable[str]:
        targets = dict(self._targets)
        if row.images > MAX_BATCH:
            targets.pop(BATCHED, None)
        turns = {way: Turns.none() for way in (*targets, "echo")}
        inside: list[float] = []
        for _ in range(self._rounds):
            for way, target in targets.items():
                self._turn(turns[way], row, target, PREDICT)
            self._turn(turns["echo"], row, self._echo.address, f"/echo/{number}")
            inside.append(ceiling.turn(self._seconds))
        best = statistics.median(inside)
        floor = statistics.median(turns["echo"].rates)
        what = f"| {row.model}, {row.images} | {row.concurrency} |"
        for way, found in turns.items():
            rate = statistics.median(found.rates)
            left = 1 - statistics.median(found.client_cpus) / CPUS
            line = f"{what} {way} | {spread(found.rates, 0)} | {spread(found.p50, 2)} "
            line += f"| {spread(found.p99, 1)} | {spread(found.client_cpus, 2)} | "
            if way != "echo":
                line += f"{rate / floor:.2f} | {rate / best:.2f} "
                line += f"| {rate / best / left:.2f} |"
            else:
                line += "| | |"
            yield line + (f" {found.failed} FAILED" if found.failed else "")
        yield f"{what} in-process, {ceiling.best} | {spread(inside, 0)} | | | | | | |"

    def _turn(self, turns: Turns, row: Row, target: str, method: str) -> None:
        job = {
            "target": target,
            "method": method,
            "request": str(request_file(self._directory, row.model, row.images)),
            "seconds": self._seconds,
            "clients": row.concurrency,
            "warm_up": min(1.0, self._seconds / 3),
        }
        turns.add(self._load.request(job), row.images)

    def open(self) -> Iterable[str]:
        """The lines of the table with so many requests per second."""
        yield (
            "| model | requests/s offered | way | completed/s | p50 ms | p99 ms "
            "| longest ms |"
        )
        yield "|---|---|---|---|---|---|---|"
        for model in self._models:
            for rate in RATES[model]:
                for way, target in self._targets.items():
                    outcomes = [
                        self._load.request(
                            {
                                "target": target,
                                "method": PREDICT,
                                "request": str(request_file(self._directory, model, 1)),
                                "seconds": self._seconds,
                                "rate": rate,
                                "warm_up": min(1.0, self._seconds / 3),
                            }
                        )
                        for _ in range(self._rounds)
                    ]
                    yield open_line(f"| {model} | {rate} | {way} |", outcomes)


def open_line(what: str, outcomes: list[dict]) -> str:
    """One line of the table of the open loop."""
    cells = [
        spread([o["rate"] for o in outcomes], 0),
        spread([o["milliseconds"]["50"] for o in outcomes], 1),
        spread([o["milliseconds"]["99"] for o in outcomes], 1),
        spread([o["longest"] for o in outcomes], 0),
    ]
    failed: dict[str, int] = {}
    for outcome in outcomes:
        for code, count in outcome["codes"].items():
            if code != "OK":
                failed[code] = failed.get(code, 0) + count
    notes = "".join(f" {count} {code}" for code, count in failed.items())
    return f"{what} {' | '.join(cells)} |{notes}"


class Ceiling:
    """A SavedModel run in-process, in the best of some ways.

    Args:
        version: The version directory.
        seconds: How long each way is tried.
    """

    def __init__(self, version: Path, seconds: float) -> None:
        threads = sorted({1, CPUS})
        self._workers = {
            count: processes.Worker("serve_inprocess.py", version, count)
            for count in threads
        }
        for worker in self._workers.values():
            worker.response()
        rates = {}
        for count, worker in self._workers.items():
            for size in (1, 32, 256):
                for callers in sorted({1, CPUS}):
                    found = worker.request([size, callers, seconds])
                    rates[found] = (count, size, callers)
        self._count, self._size, self._callers = rates[max(rates)]
        self.best = (
            f"{self._callers} callers, {self._size} images, {self._count} threads"
        )

    def turn(self, seconds: float) -> float:
        """Images per second in the best way."""
        worker = self._workers[self._count]
        return worker.request([self._size, self._callers, seconds])

    def stop(self) -> None:
        """End its processes."""
        for worker in self._workers.values():
            worker.stop()


def spread(values: list[float], digits: int) -> str:
    """Median and range."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def start(directory: Path, rounds: int) -> Iterable[str]:
    """The lines about the start and the memory of a server of LeNet-5 alone."""
    seconds, megabytes = [], []
    with tempfile.TemporaryDirectory() as alone:
        shutil.copytree(directory / "lenet5", Path(alone) / "lenet5")
        for _ in range(rounds):
            server = processes.fovea(Path(alone))
            with processes.stopping(server):
                seconds.append(server.wait())
                megabytes.append(server.resident_megabytes())
    yield f"Start to SERVING: {spread(seconds, 2)} s, {rounds} runs"
    yield f"Resident memory then: {spread(megabytes, 0)} MB"


def main() -> None:
    """Print the tables that the command line selects."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    parts = ["closed", "open", "start"]
    add("--part", nargs="+", choices=parts, help="default: all that apply")
    add("--model", nargs="+", choices=list(MODELS), default=list(MODELS))
    add("--target", metavar="HOST:PORT", help="measure this server, not fovea's")
    add("--models", type=Path, metavar="DIR", help="keep the models there")
    add("--rounds", type=int, default=5, help="turns of each way (default: 5)")
    add("--seconds", type=float, default=3, help="length of a turn (default: 3)")
    args = parser.parse_args()
    if args.part is None:
        args.part = parts[:2] if args.target else parts
    if args.target and "start" in args.part:
        parser.error("--part start starts fovea's own server: leave --target out.")
    if args.target and not processes.is_serving(args.target):
        parser.error(f"--target must be a gRPC server. Received: {args.target}")
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print(f"{CPUS} CPUs; {args.rounds} turns of {args.seconds:g} s,")
    print("median (minimum to maximum)\n", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        directory = (args.models or Path(temporary)).resolve()
        if not (directory / "lenet5").is_dir():
            here = Path(__file__).parent
            subprocess.run(
                [sys.executable, here / "serve_models.py", directory],
                check=True,
                stderr=subprocess.DEVNULL,
            )
        for part in args.part:
            for line in measure(part, directory, args):
                print(line, flush=True)
            print(flush=True)


def measure(part: str, directory: Path, args: argparse.Namespace) -> Iterable[str]:
    """The lines of one part."""
    if part == "start":
        yield from start(directory, args.rounds)
    else:
        bench = Bench(directory, args.model, args.target, args.rounds, args.seconds)
        with processes.stopping(bench):
            yield from bench.closed() if part == "closed" else bench.open()


if __name__ == "__main__":
    main()
