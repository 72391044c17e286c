"""More requests than the server can run, huge messages, and idle connections."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fovea.serving.server.server import CALLS_PER_THREAD

pytestmark = [pytest.mark.slow, pytest.mark.serial]

ROOT = Path(__file__).parents[3]
THREADS = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"  # and SETTINGS


@pytest.fixture(scope="module")
def rest_port(kit):
    return kit.free_port()


@pytest.fixture(scope="module")
def server(kit, toys, rest_port, tmp_path_factory):
    root = tmp_path_factory.mktemp("overload")
    kit.copy_version(toys[1], root / "toy" / "1")
    monitoring = root / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    flags = (
        f"--grpc_max_threads={THREADS}",
        f"--rest_api_port={rest_port}",
        f"--monitoring_config_file={monitoring}",
        "--rest_api_num_threads=2",
        "--rest_api_timeout_in_ms=1000",
    )
    with kit.running(root / "toy", root / "server.log", *flags) as server:
        kit.until(lambda: kit.is_open(rest_port), server.log_file)
        yield server


@pytest.fixture
def session_runs(rest_port):
    def session_runs():
        url = f"http://127.0.0.1:{rest_port}/monitoring/prometheus/metrics"
        with urllib.request.urlopen(url) as page:
            lines = page.read().decode().splitlines()
        name = ":tensorflow:core:direct_session_runs"
        found = [line for line in lines if line.startswith(f"{name}{{")]
        return int(found[0].split()[-1]) if found else 0

    return session_runs


def memory(server, what="VmRSS"):
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.partition(f"{what}:")[2].split()[0]) * 1024


def test_a_deadline_that_passes_in_the_queue_never_runs(kit, server, session_runs):
    predict = server.stubs.prediction.Predict
    before = session_runs()
    endless = kit.predict_request("toy", "slow", turns=np.int32(2**30))
    running = [predict.future(endless, timeout=4) for _ in range(THREADS)]
    kit.until(lambda: session_runs() == before + THREADS)
    quick = kit.predict_request(x=[1.0])
    queued = [predict.future(quick, timeout=0.3) for _ in range(3 * THREADS)]
    codes = [call.code() for call in queued + running]
    assert set(codes) == {grpc.StatusCode.DEADLINE_EXCEEDED}
    server.stubs.predict(quick)  # behind all of them in the queue
    assert session_runs() == before + THREADS + 1


def test_a_request_that_waited_for_over_half_its_timeout_is_rejected(
    kit, server, session_runs
):
    predict = server.stubs.prediction.Predict
    before = session_runs()
    endless = kit.predict_request("toy", "slow", turns=np.int32(2**30))
    running = [predict.future(endless, timeout=4) for _ in range(THREADS)]
    kit.until(lambda: session_runs() == before + THREADS)
    quick = kit.predict_request(x=[1.0])
    hasty, patient = predict.future(quick, timeout=6), predict.future(quick)
    assert all(call.code() is grpc.StatusCode.DEADLINE_EXCEEDED for call in running)
    assert hasty.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert hasty.details() == (
        "The server is overloaded: the request waited too long to be run in time"
    )
    assert patient.code() is grpc.StatusCode.OK


def test_health_checks_succeed_while_all_other_calls_are_rejected(
    kit, server, session_runs
):
    predict = server.stubs.prediction.Predict
    before = session_runs()
    endless = kit.predict_request("toy", "slow", turns=np.int32(2**30))
    most = CALLS_PER_THREAD * THREADS
    accepted = [predict.future(endless, timeout=10) for _ in range(most)]
    kit.until(lambda: session_runs() >= before + THREADS)
    quick = kit.predict_request(x=[1.0])
    # A busy server may take a while to count all requests.
    probe = functools.partial(predict.future, quick, timeout=1)
    kit.until(lambda: probe().details() == "Concurrent RPC limit exceeded!")
    assert probe().code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        reply = check(health_pb2.HealthCheckRequest(), timeout=60)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
    assert all(call.code() is not grpc.StatusCode.OK for call in accepted)
    # The server also has to notice that the clients have disconnected.
    kit.until(lambda: predict.future(quick, timeout=30).code() is grpc.StatusCode.OK)


def test_ten_times_too_many_requests(kit, server, tmp_path):
    """The long version, with a figure, is in benchmarks/faults.py."""
    file = tmp_path / "request"
    request = kit.predict_request("toy", "slow", turns=np.int32(1000))
    file.write_bytes(request.SerializeToString())

    def load(**options):
        job = {"target": f"127.0.0.1:{server.port}", "request": str(file), **options}
        done = subprocess.run(
            [sys.executable, "-m", "fovea.serving.client.loadtest.generator"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            input=json.dumps(job).encode(),
        )
        tally = json.loads(done.stdout)
        return tally["rate"], tally["codes"]

    for _ in range(
        3
    ):  # the machine's other load may change between the two measurements
        capacity, _ = load(clients=4, seconds=2)
        before = memory(server, "VmHWM")
        goodput, codes = load(rate=10 * capacity, seconds=4, timeout=1)
        assert codes["RESOURCE_EXHAUSTED"] > codes["OK"]
        assert memory(server, "VmHWM") - before < 100 * 2**20
        if goodput > 0.5 * capacity:
            break
    else:
        pytest.fail(f"{goodput} of {capacity} requests a second")
    server.stubs.predict(kit.predict_request(x=[1.0]))


def test_too_many_requests_over_rest(server, rest_port):
    def post(number):
        connection = http.client.HTTPConnection("127.0.0.1", rest_port, timeout=60)
        body = '{"signature_name": "slow", "inputs": 1073741824}'
        with contextlib.closing(connection):
            connection.request("POST", "/v1/models/toy:predict", body)
            reply = connection.getresponse()
            return reply.status, reply.read()

    with ThreadPoolExecutor(24) as clients:
        replies = list(clients.map(post, range(24)))
    seen = Counter(status for status, _ in replies)
    assert seen.keys() == {504, 429}
    assert seen[504] >= 16
    rejection = json.loads(dict(replies)[429])
    assert rejection == {
        "error": "The server is overloaded: too many requests are waiting"
    }


def test_64_megabytes_both_ways(kit, server):
    text = b"0123456789abcdef" * 2**22
    request = kit.predict_request("toy", "upper", text=text)
    request.output_filter.append("same")
    options = [("grpc.max_receive_message_length", -1)]
    address = f"127.0.0.1:{server.port}"
    with grpc.insecure_channel(address, options=options) as channel:
        reply = kit.Stubs(channel).predict(request, timeout=120)
    assert reply.outputs["same"].string_val == [text]


def test_a_thousand_idle_connections(kit, server):
    before = memory(server)
    idle = []
    try:
        for _ in range(1000):
            idle.append(socket.create_connection(("127.0.0.1", server.port)))
            idle[-1].sendall(PREFACE)
        with grpc.insecure_channel(
            f"127.0.0.1:{server.port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            kit.Stubs(channel).predict(kit.predict_request(x=[1.0]))
        assert (memory(server) - before) / 1000 < 100 * 2**10
    finally:
        for connection in idle:
            connection.close()
