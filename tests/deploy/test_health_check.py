"""deploy/docker/grpc-health against real gRPC servers."""

import os
import shutil
import socket
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

CHECK = Path(__file__).parents[2] / "deploy" / "docker" / "grpc-health"

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


def check(port):
    done = subprocess.run([CHECK, str(port)], capture_output=True, text=True)
    return done.returncode, done.stderr.strip()


@pytest.fixture
def server():
    """A gRPC server, its port and its health servicer."""
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield server, port, servicer
    server.stop(None)


def test_a_server_that_serves(server):
    assert check(server[1]) == (0, "")


def test_a_server_that_drains(server):
    _, port, servicer = server
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert check(port) == (1, f"grpc-health: the server on port {port} is not serving")


def test_a_server_that_has_stopped(server):
    server[0].stop(None).wait()
    assert check(server[1]) == (1, f"grpc-health: nothing listens on port {server[1]}")


@pytest.mark.parametrize("response", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 99])
def test_something_else_on_the_port(response):
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        ThreadPoolExecutor() as one,
    ):
        port = listening.getsockname()[1]

        def hang_up():
            with listening.accept()[0] as connection:
                connection.sendall(response)
                connection.recv(1000)

        connected = one.submit(hang_up)
        assert check(port) == (
            1,
            f"grpc-health: no answer of gRPC health on port {port}",
        )
        connected.result()


def test_git_keeps_it_executable():
    assert CHECK.stat().st_mode & stat.S_IXOTH
    assert os.access(CHECK, os.X_OK)
