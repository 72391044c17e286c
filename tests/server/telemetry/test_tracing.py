"""Spans of requests, as the SDK's exporter prints them to the server's output."""

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01"


def spans(log):
    """Return the spans that the exporter wrote between other lines."""
    decoder, at, found = json.JSONDecoder(), log.find("\n{\n"), []
    while at >= 0:
        value, end = decoder.raw_decode(log, at + 1)
        found.append(value)
        at = log.find("\n{\n", end)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("batching", ["false", "true"])
def test_a_span_for_each_request(kit, toys, tmp_path, monkeypatch, batching):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "eyes")
    kit.copy_version(toys[1], tmp_path / "toy" / "1")
    rest = kit.free_port()
    log = tmp_path / "log"
    flags = (f"--rest_api_port={rest}", f"--enable_batching={batching}")
    with kit.running(tmp_path / "toy", log, *flags) as server:
        kit.until(lambda: kit.is_open(rest), log)
        predict = server.stubs.prediction.Predict
        predict(kit.predict_request(x=[1.0]), metadata=[("traceparent", HEADER)])
        with pytest.raises(grpc.RpcError):
            predict(kit.predict_request("nobody", x=[1.0]))
        url = f"http://127.0.0.1:{rest}/v1/models/toy/versions/1:predict"
        request = urllib.request.Request(url, b'{"instances": [1.0]}')
        request.add_header("traceparent", HEADER)
        urllib.request.urlopen(request).close()
        server.signal()
        assert server.wait() == 0  # sends the queued spans
    good, bad, rest = spans(server.log)
    assert good["name"] == "tensorflow.serving.PredictionService/Predict"
    assert good["context"]["trace_id"] == rest["context"]["trace_id"] == f"0x{TRACE}"
    assert good["parent_id"] == rest["parent_id"] == f"0x{PARENT}"
    assert good["kind"] == "SpanKind.SERVER"
    assert good["resource"]["attributes"]["service.name"] == "eyes"
    assert good["attributes"] == {
        "rpc.system": "grpc",
        "rpc.service": "tensorflow.serving.PredictionService",
        "rpc.method": "Predict",
        "rpc.grpc.status_code": 0,
        "fovea.model.name": "toy",
        "fovea.model.version": 1,
    }
    assert bad["parent_id"] is None
    assert bad["attributes"]["rpc.grpc.status_code"] == 5
    assert rest["name"] == "POST Predict"
    assert rest["attributes"] == {
        "http.request.method": "POST",
        "url.path": "/v1/models/toy/versions/1:predict",
        "http.response.status_code": 200,
        "fovea.model.name": "toy",
        "fovea.model.version": 1,
    }


@pytest.mark.slow
def test_spans_reach_a_collector(kit, toys, tmp_path, monkeypatch):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc")
    from opentelemetry.proto.collector.trace.v1 import (
        trace_service_pb2,
        trace_service_pb2_grpc,
    )

    class Collector(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request, context):
            for spans in request.resource_spans:
                got.extend(spans.scope_spans[0].spans)
            return trace_service_pb2.ExportTraceServiceResponse()

    got = []
    collector = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Collector(), collector)
    port = collector.add_insecure_port("127.0.0.1:0")
    collector.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    kit.copy_version(toys[1], tmp_path / "toy" / "1")
    with kit.running(tmp_path / "toy", tmp_path / "log") as server:
        server.stubs.prediction.Predict(
            kit.predict_request(x=[1.0]), metadata=[("traceparent", HEADER)]
        )
        server.signal()
        assert server.wait() == 0
    collector.stop(0).wait()
    (span,) = got
    assert span.name == "tensorflow.serving.PredictionService/Predict"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)


CODE = """
import sys
sys.modules["opentelemetry"] = None
from fovea.serving.server.telemetry.tracing import tracing
with tracing({"OTEL_TRACES_EXPORTER": "otlp"}): pass
with tracing({}): pass
"""


def test_without_the_package(tmp_path):
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Requests are not traced: no exporter 'otlp'") == 1
