"""`fovea status`, `metadata` and `wait` as a user sees them."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fovea import cli


@pytest.fixture
def run(server, capsys):
    """run(*words) -> (exit code, stdout, stderr)."""

    def call(*words, to=server.target):
        code = cli.main([*map(str, words), "--server", to])
        return (code, *capsys.readouterr())

    return call


def test_status(run):
    assert run("status", "mnist") == (
        0,
        "version 2  AVAILABLE\nversion 1  END        NOT_FOUND: no variables\n",
        "",
    )
    assert run("status", "mnist", "--version", 2)[1] == "version 2  AVAILABLE\n"
    parsed = json.loads(run("status", "mnist", "--json")[1])
    assert parsed[0] == {
        "version": 2,
        "state": "AVAILABLE",
        "error_code": "OK",
        "error_message": "",
    }


def test_metadata(run):
    code, out, err = run("metadata", "mnist", "--label", "stable")
    assert (code, err) == (0, "")
    assert out.startswith("model mnist, version 1\n\n")
    assert "__saved_model_init_op" not in out
    assert out.endswith(
        "\nserving_default (predict)\n"
        "  takes    images         uint8    [?, 4, 4, 1]\n"
        "  returns  class_id       string   any shape\n"
        "           label          string   any shape\n"
        "           probabilities  string   any shape\n"
    )
    parsed = json.loads(run("metadata", "mnist", "--json")[1])
    assert parsed["signatures"]["serving_default"]["inputs"]["images"] == {
        "name": "images:0",
        "dtype": "uint8",
        "shape": [None, 4, 4, 1],
    }


def test_an_unknown_model_is_an_error(run):
    code, out, err = run("metadata", "nope")
    assert (code, out) == (1, "")
    assert err.startswith("fovea: error: The server at ") and "'nope'" in err


def test_waiting_for_a_model(run):
    assert run("wait", "mnist") == (0, "model mnist is serving\n", "")
    assert run("wait", "mnist", "--version", 2)[0] == 0
    code, out, err = run("wait", "mnist", "--version", 1, "--timeout", 0.3)
    assert (code, out) == (1, "")
    assert err == (
        "fovea: error: Not serving after 0.3 s: Model 'mnist' has version 1 END "
        "(no variables).\n"
    )


def test_waiting_where_no_server_listens_times_out(run):
    code, _, err = run("wait", "--timeout", 0.2, to="127.0.0.1:1")
    assert code == 1
    assert err.startswith("fovea: error: Not serving after 0.2 s: No server responds")


def test_waiting_without_a_health_service_requires_a_model(run):
    assert run("wait")[2] == (
        "fovea: error: The server has no gRPC health service; name a model to wait "
        "for.\n"
    )
    assert "name the model too" in run("wait", "--version", 1)[2]


def test_waiting_for_a_server_that_starts_later(run):
    """At first nothing listens, then the server is not ready, then it is serving."""
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")  # accepts connections once started
    serving = health_pb2.HealthCheckResponse.SERVING
    steps = [
        threading.Timer(0.3, server.start),
        threading.Timer(0.6, servicer.set, ["", serving]),
    ]
    try:
        for step in steps:
            step.start()
        assert run("wait", to=f"127.0.0.1:{port}") == (0, "server is serving\n", "")
        servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        _, _, err = run("wait", "--timeout", 0.2, to=f"127.0.0.1:{port}")
        assert err.endswith("The server reports that it is not ready.\n")
    finally:
        for step in steps:
            step.join()
        server.stop(0).wait(30)
