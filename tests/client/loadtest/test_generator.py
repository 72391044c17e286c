"""The load generator as benchmarks use it: jobs on stdin, outcomes on stdout."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "fovea.serving.client.loadtest.generator"]


@pytest.fixture(scope="module")
def server():
    """Echoes; /test/even rejects every other request, /test/stall delays the first."""
    seen, turns, stalls = [], iter(range(10**9)), iter([0.5])

    def every(request, context):
        seen.append(request)
        return request

    def even(request, context):
        if next(turns) % 2:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "odd")
        return request

    def stall(request, context):
        time.sleep(next(stalls, 0))
        return request

    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {
        method.__name__: grpc.unary_unary_rpc_method_handler(method)
        for method in (every, even, stall)
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test", handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield SimpleNamespace(target=f"127.0.0.1:{port}", seen=seen)
    server.stop(0).wait(30)


@pytest.fixture(scope="module")
def outcomes(server, tmp_path_factory):
    request = tmp_path_factory.mktemp("load") / "request"
    request.write_bytes(b"some bytes")
    common = {"target": server.target, "request": str(request), "warm_up": 0.1}
    jobs = [
        {"method": "/test/every", "seconds": 0.5, "clients": 4},
        {"method": "/test/even", "seconds": 0.3},
        {"method": "/test/stall", "seconds": 1.0, "rate": 50, "warm_up": 0},
        {"method": "/test/every", "seconds": 0.2, "rate": 50, "deadline": 0},
        {"method": "/test/none", "seconds": 0.2},
    ]
    run = subprocess.run(
        COMMAND,
        input="".join(json.dumps(common | job) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_a_closed_loop(outcomes, server):
    closed, half = outcomes[:2]
    assert closed["codes"] == {"OK": closed["sent"]}
    assert closed["rate"] == closed["answered"] / closed["seconds"]
    times = closed["milliseconds"]
    assert 0 < times["50"] <= times["99"] <= times["99.9"] <= closed["longest"]
    assert set(server.seen) == {b"some bytes"}
    assert half["codes"]["OK"] > 0 and half["codes"]["RESOURCE_EXHAUSTED"] > 0
    assert half["sent"] == sum(half["codes"].values())
    assert half["details"] == {
        "RESOURCE_EXHAUSTED: odd": half["codes"]["RESOURCE_EXHAUSTED"]
    }


def test_an_open_loop_leaves_no_request_out_of_its_latencies(outcomes):
    steady = outcomes[2]
    # Every request of the schedule is counted, however late it was.
    assert 25 < steady["sent"] + steady["unsent"] < 85
    # One call took half a second, and all requests due meanwhile waited behind it: a
    # generator that had waited with them would have seen a single slow call.
    assert steady["longest"] > 450
    assert steady["milliseconds"]["90"] > 250


def test_responses_after_the_deadline_do_not_count_as_goodput(outcomes):
    late = outcomes[3]
    assert late["answered"] > 0
    assert (late["in_time"], late["goodput"]) == (0, 0)


def test_nothing_but_failures(outcomes):
    failed = outcomes[4]
    assert failed["codes"] == {"UNIMPLEMENTED": failed["sent"]}
    assert failed["rate"] == 0
    assert failed["longest"] is None and failed["milliseconds"]["50"] is None


def test_a_signal_ends_it_early(server, tmp_path):
    request = tmp_path / "request"
    request.write_bytes(b"")
    job = {"target": server.target, "request": str(request), "method": "/test/every"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        COMMAND, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe
    ) as load:
        load.stdin.write(json.dumps(job | {"seconds": 60, "rate": 20}).encode() + b"\n")
        load.stdin.flush()
        load.stderr.readline()  # it has begun
        time.sleep(0.3)
        load.send_signal(signal.SIGTERM)
        outcome = json.loads(load.communicate(timeout=90)[0])
    assert outcome["seconds"] < 30
    assert outcome["codes"].get("OK", 0) == outcome["sent"]
