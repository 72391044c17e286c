"""How long `fovea train` takes to its first step, and how much memory it needs.

    python benchmarks/first_step.py [--runs N] [--whole] ARGUMENT ...

The arguments are those of `fovea train`, without `--run`. The clock runs from the start
of the process until the checkpoint of the first step is written (`--save-every 1`); the
process is killed then. `--whole` lets a training go to its end instead and prints the
most memory that it was given (resident, in MB of 10**6 bytes).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Print the median and the range."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="default: 3")
    parser.add_argument("--whole", action="store_true", help="measure memory")
    args, training = parser.parse_known_args()
    measure, unit = (peak, "MB") if args.whole else (first_step, "s")
    values = [measure(training) for _ in range(args.runs)]
    print(
        f"{' '.join(training)}: {statistics.median(values):.1f} {unit} "
        f"({min(values):.1f} to {max(values):.1f}), {args.runs} runs"
    )


def first_step(training: list[str]) -> float:
    """Seconds from the start of a training to the checkpoint of its first step."""
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = Path(directory) / "run" / "checkpoint.npz"
        began = time.monotonic()
        process = start(training, directory, "--save-every", "1")
        seen: set[int] = set()  # the first is written before there is a step
        while len(seen) < 2:
            if process.poll() is not None:
                sys.exit(f"fovea train {' '.join(training)} ended early.")
            if checkpoint.exists():
                seen.add(checkpoint.stat().st_mtime_ns)
            time.sleep(0.01)
        seconds = time.monotonic() - began
        process.kill()
        process.wait()
    return seconds


def peak(training: list[str]) -> float:
    """The most memory that a whole training had, in MB."""
    with tempfile.TemporaryDirectory() as directory:
        process = start(training, directory)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"fovea train {' '.join(training)} failed.")
    return usage.ru_maxrss * 1024 / 1e6


def start(training: list[str], directory: str, *more: str) -> subprocess.Popen:
    """Start a training in a new run directory."""
    run = Path(directory) / "run"
    command = [sys.executable, "-m", "fovea", "train", *training, "--run", run]
    return subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
