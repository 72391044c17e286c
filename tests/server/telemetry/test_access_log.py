"""One line of JSON for each request, also when the file is moved or full."""

import json
import logging
import subprocess
import urllib.error
import urllib.request
from datetime import datetime

import grpc
import pytest

from fovea.serving.server.telemetry import access_log

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module", params=["false", "true"], ids="batching={}".format)
def server(kit, toys, tmp_path_factory, request):
    root = tmp_path_factory.mktemp("logged")
    kit.copy_version(toys[1], root / "toy" / "1")
    rest = kit.free_port()
    flags = (f"--rest_api_port={rest}", f"--access_log={root / 'access.log'}")
    flags = (*flags, f"--enable_batching={request.param}")
    with kit.running(root / "toy", root / "server.log", *flags) as server:
        kit.until(lambda: kit.is_open(rest), server.log_file)
        server.rest, server.access_log = rest, root / "access.log"
        yield server


@pytest.fixture
def lines(kit, server):
    """lines(n) waits for n lines written after the start of the test."""
    before = len(server.access_log.read_text().splitlines())

    def lines(count):
        def read():
            return server.access_log.read_text().splitlines()[before:]

        kit.until(lambda: len(read()) >= count)
        return [json.loads(line) for line in read()]

    return lines


@pytest.mark.slow
def test_grpc(kit, server, lines):
    predict = server.stubs.prediction.Predict
    predict(kit.predict_request(x=[1.0]), metadata=[("traceparent", PARENT)])
    with pytest.raises(grpc.RpcError):
        predict(kit.predict_request("nobody", "some", version=7, x=[1.0]))
    server.stubs.status()
    good, bad, status = lines(3)
    assert list(good) == list(access_log.Record._fields)
    assert datetime.fromisoformat(good.pop("time").replace("Z", "+00:00")).tzinfo
    assert good.pop("peer").startswith("ipv4:127.0.0.1:")
    assert good.pop("duration_ms") > 0
    assert good == {
        "entrypoint": "GRPC",
        "method": "Predict",
        "model": "toy",
        "version": 1,
        "signature": "serving_default",
        "code": "OK",
        "request_bytes": None,
        "trace_id": TRACE,
    }
    assert (bad["code"], bad["model"], bad["version"]) == ("NOT_FOUND", "nobody", 7)
    assert (bad["signature"], bad["trace_id"]) == ("some", None)
    assert (status["method"], status["model"]) == ("GetModelStatus", "toy")


@pytest.mark.slow
def test_rest(server, lines):
    url = f"http://127.0.0.1:{server.rest}/v1/models/toy"
    body = b'{"instances": [1.0]}'
    request = urllib.request.Request(f"{url}/versions/1:predict", body)
    request.add_header("traceparent", PARENT)
    urllib.request.urlopen(request).close()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{url}/versions/8/metadata")
    good, bad = lines(2)
    assert good["peer"].startswith("127.0.0.1:")
    assert good["request_bytes"] == len(body)
    shown = ("entrypoint", "method", "model", "version", "code", "trace_id")
    assert [good[key] for key in shown] == ["REST", "Predict", "toy", 1, "OK", TRACE]
    assert [bad[key] for key in shown] == [
        *("REST", "GetModelMetadata", "toy", 8, "NOT_FOUND", None)
    ]


@pytest.mark.slow
def test_a_file_that_was_moved_away_is_created_again(kit, server):
    moved = server.access_log.rename(server.access_log.with_suffix(".1"))
    server.stubs.predict(kit.predict_request(x=[1.0]))
    kit.until(server.access_log.exists)
    kit.until(server.access_log.read_text)
    assert moved.read_text()


def test_a_full_disk_fails_no_request(kit, caplog):
    record = access_log.Record(0.0, "GRPC", "Predict", "m", 1, "", "OK", 1, "", 0, None)
    with access_log.writing("/dev/full"):
        access_log._current.add(record)
        kit.until(lambda: "The access log cannot be written" in caplog.text)
    assert caplog.records[0].levelno == logging.ERROR


def test_dropped_records_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(access_log, "MAX_RECORDS", 1)
    monkeypatch.setattr(access_log, "PAUSE_SECONDS", 60)
    record = access_log.Record(0.0, "GRPC", "Predict", "m", 1, "", "OK", 1, "", 0, None)
    with access_log.writing(str(tmp_path / "log")):
        for _ in range(3):
            access_log._current.add(record)
    first, dropped = (tmp_path / "log").read_text().splitlines()
    assert json.loads(first)["time"] == "1970-01-01T00:00:00.000Z"
    assert json.loads(dropped) == {"dropped": 2}


def test_a_file_that_cannot_be_created_is_an_error(kit, tmp_path):
    command = kit.server_command(
        f"--access_log={tmp_path}/no/log", "--model_base_path=/m"
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 255
    assert "no/log cannot be written: No such file or directory" in done.stderr
