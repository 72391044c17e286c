"""`fovea status`, `metadata` and `wait` as a user sees them."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fovea import cli


@pytest.fixture
def ask(server, capsys):
    """ask(*words) -> (exit code, stdout, stderr)."""

    def run(*words, to=server.target):
        code = cli.main([*map(str, words), "--server", to])
        return (code, *capsys.readouterr())

    return run


def test_status(ask):
    assert ask("status", "mnist") == (
        0,
        "version 2  AVAILABLE\nversion 1  END        NOT_FOUND: no variables\n",
        "",
    )
    assert ask("status", "mnist", "--version", 2)[1] == "version 2  AVAILABLE\n"
    told = json.loads(ask("status", "mnist", "--json")[1])
    assert told[0] == {
        "version": 2,
        "state": "AVAILABLE",
        "error_code": "OK",
        "error_message": "",
    }


def test_metadata(ask):
    code, out, err = ask("metadata", "mnist", "--label", "stable")
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
    told = json.loads(ask("metadata", "mnist", "--json")[1])
    assert told["signatures"]["serving_default"]["inputs"]["images"] == {
        "name": "images:0",
        "dtype": "uint8",
        "shape": [None, 4, 4, 1],
    }


def test_what_the_server_does_not_have(ask):
    code, out, err = ask("metadata", "nope")
    assert (code, out) == (1, "")
    assert err.startswith("fovea: error: The server at ") and "'nope'" in err


def test_waiting_for_a_model(ask):
    assert ask("wait", "mnist") == (0, "model mnist is serving\n", "")
    assert ask("wait", "mnist", "--version", 2)[0] == 0
    code, out, err = ask("wait", "mnist", "--version", 1, "--timeout", 0.3)
    assert (code, out) == (1, "")
    assert err == (
        "fovea: error: Not serving after 0.3 s: Model 'mnist' has version 1 END "
        "(no variables).\n"
    )


def test_waiting_for_nobody(ask):
    code, _, err = ask("wait", "--timeout", 0.2, to="127.0.0.1:1")
    assert code == 1
    assert err.startswith("fovea: error: Not serving after 0.2 s: No server responds")


def test_waiting_where_it_makes_no_sense(ask):
    assert ask("wait")[2] == (
        "fovea: error: The server has no gRPC health service; name a model to wait "
        "for.\n"
    )
    assert "name the model too" in ask("wait", "--version", 1)[2]


def test_waiting_for_a_server_that_comes_up(ask):
    """First nobody is there, then somebody who is not ready, then it serves."""
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")  # answers once it is started
    serving = health_pb2.HealthCheckResponse.SERVING
    steps = [
        threading.Timer(0.3, server.start),
        threading.Timer(0.6, servicer.set, ["", serving]),
    ]
    try:
        for step in steps:
            step.start()
        assert ask("wait", to=f"127.0.0.1:{port}") == (0, "server is serving\n", "")
        servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        _, _, err = ask("wait", "--timeout", 0.2, to=f"127.0.0.1:{port}")
        assert err.endswith("The server reports that it is not ready.\n")
    finally:
        for step in steps:
            step.join()
        server.stop(0).wait(30)
