"""The REST API of a server process, over network connections."""

import gzip
import http.client
import json
import socket
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.slow

MONITORING = 'prometheus_config { enable: true path: "/odd/page" }'
GOOD = b'{"instances": [1.0]}'
GOOD_REPLY = b'{\n    "predictions": [1.5\n    ]\n}'
PREDICT = "/v1/models/toy:predict"


@pytest.fixture(scope="module")
def served(running_rest, toy_directory, tmp_path_factory):
    directory = tmp_path_factory.mktemp("gateway")
    config = directory / "monitoring.config"
    config.write_text(MONITORING)
    with running_rest(
        toy_directory,
        directory / "log",
        f"--monitoring_config_file={config}",
        "--rest_api_enable_cors_support=true",
        "--rest_api_num_threads=2",
        "--rest_api_timeout_in_ms=400",
    ) as (server, client):
        yield server, client


@pytest.fixture
def server(served):
    return served[0]


@pytest.fixture
def client(served):
    return served[1]


def test_headers_of_a_response(client):
    status, headers, body = client.request("POST", PREDICT, GOOD)
    assert (status, body) == (200, GOOD_REPLY)
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == str(len(body))
    assert "date" in headers and "server" not in headers


def test_the_log_has_the_address(server, client):
    line = f"Exporting HTTP/REST API at:localhost:{client.port} ..."
    assert line in server.log
    assert server.log.index("Running gRPC ModelServer at") < server.log.index(line)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_cors_headers(client, method):
    _, headers, _ = client.request(method, "/v1/models/toy")
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-allow-methods"] == "POST, GET"
    assert headers["access-control-allow-headers"] == "Content-Type"


@pytest.mark.parametrize(
    ("origin", "status"),
    [({}, 400), ({"Origin": "https://a.example"}, 200), ({"Origin": "a"}, 400)],
)
def test_preflight(client, origin, status):
    got, headers, body = client.request("OPTIONS", PREDICT, **origin)
    assert (got, body) == (status, b"")
    assert headers["content-type"] == "text/html; charset=ISO-8859-1"


def test_packed_bodies(client):
    packed = gzip.compress(GOOD)
    packing = {"Content_Encoding": "gzip"}
    assert client.request("POST", PREDICT, packed, **packing)[::2] == (200, GOOD_REPLY)
    for broken in (packed[:-9], GOOD, b""):
        status, _, body = client.request("POST", PREDICT, broken, **packing)
        assert status == 400
        assert json.loads(body)["error"] == "JSON Parse error: The document is empty"


def test_a_packed_body_cannot_fill_the_memory(client):
    bomb = gzip.compress(b" " * (101 * 2**20), 9)
    status, _, _ = client.request("POST", PREDICT, bomb, Content_Encoding="gzip")
    assert status == 400


def test_chunked_bodies(client):
    chunks = iter([GOOD[:5], GOOD[5:]])
    client.connection.request("POST", PREDICT, chunks, encode_chunked=True)
    reply = client.connection.getresponse()
    assert (reply.status, reply.read()) == (200, GOOD_REPLY)


def test_other_paths_close_their_connection(client):
    status, headers, body = client.request("GET", "/")
    assert (status, headers["connection"]) == (404, "close")
    assert b"<H1>Not Found</H1>" in body


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND"])
def test_unknown_methods(client, method):
    status, headers, body = client.request(method, PREDICT)
    assert (status, headers["content-type"]) == (501, "text/html")
    assert b"<H1>Not Implemented</H1>" in body


def test_a_request_ends_at_its_timeout(client):
    body = '{"signature_name": "slow", "inputs": 10000000}'
    status, _, reply = client.request("POST", PREDICT, body)
    assert status == 504
    assert json.loads(reply) == {"error": "Timed out waiting for notification"}
    assert client.request("POST", PREDICT, GOOD)[0] == 200


def test_a_request_that_waited_too_long_is_not_run(client, rest_client):
    """Two threads, each busy for 0.4 s per request: the last ones wait longer."""
    errors = []

    def predict():
        own = rest_client(client.port)
        body = '{"signature_name": "slow", "inputs": 10000000}'
        status, _, reply = own.request("POST", PREDICT, body)
        errors.append((status, json.loads(reply)["error"]))
        own.close()

    threads = [threading.Thread(target=predict) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    begun, late = "Timed out waiting for notification", "Deadline Exceeded"
    assert set(errors) == {(504, begun), (504, late)}
    assert client.request("POST", PREDICT, GOOD)[0] == 200


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(["predict", "classify", "regress"]),
    st.sampled_from(["", "both", "upper", "nope", 3]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["x", "a", "b", "b64"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["instances", "inputs", "examples", "context"]),
    st.binary(max_size=3),
    st.integers(0, 200),
)
def test_no_body_breaks_the_server(client, verb, signature, value, key, put, at):
    whole = json.dumps({"signature_name": signature, key: value}).encode()
    for body in (whole, whole[:at] + put + whole[at + len(put) :]):
        status, _, reply = client.request("POST", f"/v1/models/toy:{verb}", body)
        assert status in (200, 400, 404, 501)
        if status != 200:
            assert json.loads(reply.decode("utf-8", "replace"))["error"]


@settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_no_path_breaks_the_server(client, path):
    for method in ("GET", "POST"):
        target = f"/v1/models/{path}"
        status, _, _ = client.request(method, target, b"{}")
        assert status in (200, 400, 404), target


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"POST /v1/models/toy:predict HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST " + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_requests_that_are_not_http_are_rejected(client, raw):
    with socket.create_connection(("127.0.0.1", client.port), 30) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    assert reply == b"" or reply.startswith(b"HTTP/1.1 4")
    assert client.request("POST", PREDICT, GOOD)[0] == 200


def test_a_client_that_disconnects_during_a_request(client):
    for end in (b"", b'{"inst'):
        with socket.create_connection(("127.0.0.1", client.port), 30) as connection:
            head = "POST /v1/models/toy:predict HTTP/1.1\r\nHost: a\r\nContent-Length: "
            connection.sendall(f"{head}{len(GOOD)}\r\n\r\n".encode() + end)
    assert client.request("POST", PREDICT, GOOD)[0] == 200


def test_page_of_metrics(server, client, kit):
    def counted():
        status, headers, body = client.request("GET", "/odd/page")
        assert (status, headers["content-type"]) == (200, "text/plain")
        lines = (line.rpartition(" ") for line in body.decode().splitlines())
        return {key: float(value) for key, _, value in lines if key[:1] != "#"}

    before = counted()
    for _ in range(3):
        assert client.request("POST", PREDICT, GOOD)[0] == 200
        server.stubs.predict(kit.predict_request(x=kit.np.float32([1])))
    assert client.request("POST", PREDICT, "{")[0] == 400
    assert client.request("POST", "/v1/models/nobody:predict", GOOD)[0] == 404
    with pytest.raises(Exception, match="Serving signature key"):
        server.stubs.predict(kit.predict_request(signature="nope"))
    after = counted()

    def grown(name, **labels):
        text = ",".join(f'{key}="{value}"' for key, value in labels.items())
        key = f":tensorflow:{name}{{{text}}}"
        return after[key] - before.get(key, 0)

    requests = "serving:request_count"
    assert grown(requests, model_name="toy", status="OK") == 6
    assert grown(requests, model_name="toy", status="INVALID_ARGUMENT") == 1
    assert grown(requests, model_name="toy", status="FAILED_PRECONDITION") == 1
    assert grown(requests, model_name="nobody", status="NOT_FOUND") == 1
    latency = "serving:request_latency"
    for api, entrypoint in (("predict", "REST"), ("Predict", "GRPC")):
        labels = {"model_name": "toy", "API": api, "entrypoint": entrypoint}
        assert grown(f"{latency}_count", **labels) == 3
        assert grown(f"{latency}_sum", **labels) > 0
        assert grown(f"{latency}_bucket", **labels, le="1.47476e+09") == 3
        assert grown(f"{latency}_bucket", **labels, le="+Inf") == 3
    runs = {"model_name": "toy", "API": "Predict", "runtime": "TF1"}
    assert grown("serving:runtime_latency_count", **runs) == 6
    assert grown("core:graph_runs") == 6
    loads = [key for key in after if ":load_attempt_count{" in key]
    assert len(loads) == 1 and loads[0].endswith('/toy/1",status="success"}')


def test_types_of_the_metrics(client):
    _, _, body = client.request("GET", "/odd/page")
    types = [line for line in body.decode().splitlines() if line.startswith("#")]
    assert all(line.startswith("# TYPE :tensorflow:") for line in types)
    assert "# TYPE :tensorflow:serving:request_count counter" in types
    assert "# TYPE :tensorflow:serving:request_latency histogram" in types
    assert types == sorted(types)


def test_only_the_exact_path_has_the_metrics(client):
    status, _, body = client.request("GET", "/odd/page?x=1")
    assert (status, body) == (
        400,
        b"Unexpected path: /odd/page?x=1. Should be /odd/page",
    )
    assert client.request("GET", "/monitoring/prometheus/metrics")[0] == 404


def test_usual_metrics(client):
    assert client.request("POST", PREDICT, GOOD)[0] == 200
    status, headers, body = client.request("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    for line in (
        "# HELP fovea_server_requests_total ",
        'fovea_server_requests_total{code="OK",entrypoint="REST",method="Predict"} ',
        'fovea_server_request_duration_seconds_count{entrypoint="REST",',
        'fovea_server_requests_in_flight{entrypoint="REST"} 0.0',
        'fovea_server_model_version_available{model="toy",version="1"} 1.0',
        "process_resident_memory_bytes ",
    ):
        assert f"\n{line}" in f"\n{body.decode()}"


def test_one_connection_serves_many_requests(client):
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
    connection.connect()
    mine = connection.sock.getsockname()
    for _ in range(3):
        connection.request("POST", PREDICT, GOOD)
        assert connection.getresponse().read() == GOOD_REPLY
        assert connection.sock.getsockname() == mine
    connection.close()
