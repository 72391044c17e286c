"""The processes of benchmarks/serve.py: workers that take lines, and servers."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
START_SECONDS = 120


class Worker:
    """A script of this directory, or a module of the project by `-mNAME`, that answers
    each line of JSON with another.
    """

    def __init__(self, script: str, *arguments: object) -> None:
        what = script if script.startswith("-m") else str(HERE / script)
        self._process = subprocess.Popen(
            [sys.executable, what, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def request(self, message: Any) -> Any:
        """Send a line and wait for the next."""
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return self.response()

    def response(self) -> Any:
        """Wait for a line."""
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._process.args} ended early.")
        return json.loads(line)

    def stop(self) -> None:
        """End it."""
        with contextlib.suppress(BrokenPipeError):  # it may have ended by itself
            self._process.stdin.close()
        self._process.wait()


class Server:
    """A server process on a port of this machine that is free."""

    def __init__(self, command: Sequence[object], port_flag: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command[:1]), *port_flag.format(port).split()]
            + [str(part) for part in command[1:]],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> float:
        """Seconds from its start until its health is SERVING."""
        wait_until_serving(self.address)
        return time.monotonic() - self._started

    def resident_megabytes(self) -> float:
        """Its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024 / 1e6

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def fovea(directory: Path, *flags: str) -> Server:
    """A fovea server on the models of a directory; it is not waited for."""
    config = directory / "models.config"
    entries = [
        f'config {{ name: "{d.name}" base_path: "{d}" model_platform: "tensorflow" }}'
        for d in sorted(directory.iterdir())
        if d.is_dir()
    ]
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    command = ["-mfovea.serving.server", f"--model_config_file={config}", *flags]
    return Server(command, "--port={}")


def wait_until_serving(address: str) -> None:
    """Ask for the health of a server until it is SERVING."""
    end = time.monotonic() + START_SECONDS
    options = [
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 50),
    ]
    with grpc.insecure_channel(address, options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while True:
            with contextlib.suppress(grpc.RpcError):
                reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
                if reply.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            if time.monotonic() > end:
                sys.exit(f"{address} does not serve after {START_SECONDS} s.")
            time.sleep(0.02)


def is_serving(address: str, seconds: float = 10) -> bool:
    """Whether a gRPC server can be reached there."""
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(seconds)
        except grpc.FutureTimeoutError:
            return False
    return True


@contextlib.contextmanager
def stopping(*processes: Worker | Server) -> Iterator[None]:
    """End processes with the block."""
    try:
        yield
    finally:
        for process in processes:
            process.stop()
