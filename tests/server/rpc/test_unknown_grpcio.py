"""The server with a grpcio whose private functions are not the recorded ones."""

import os

import grpc
import pytest

pytestmark = pytest.mark.slow

# Python imports a module named sitecustomize when it starts.
CHANGED = """
from grpc import _server

known = _server._abort
_server._abort = lambda state, call, code, details, more=None: known(
    state, call, code, details
)
"""


@pytest.fixture(params=["false", "true"], ids="batching={}".format)
def server(kit, toys, tmp_path, monkeypatch, request):
    (tmp_path / "sitecustomize.py").write_text(CHANGED)
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    kit.copy_version(toys[1], tmp_path / "toy" / "1")
    flag = f"--enable_batching={request.param}"
    with kit.running(tmp_path / "toy", tmp_path / "log", flag) as server:
        yield server


@pytest.mark.slow
def test_it_serves_and_warns_once(kit, server):
    for _ in range(3):
        reply = server.stubs.predict(kit.predict_request(x=[2.0]))
        assert list(reply.outputs["y"].float_val) == [2.0]
    with pytest.raises(grpc.RpcError) as error:
        server.stubs.predict(kit.predict_request("nobody", x=[2.0]))
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    server.signal()
    assert server.wait() == 0
    warnings = [line for line in server.log.splitlines() if "grpcio" in line]
    assert len(warnings) == 1, server.log
    assert "_abort has the parameters" in warnings[0]
    assert "Not protected then: " in warnings[0]
