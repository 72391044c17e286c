"""New versions, broken versions and shutdown under load, on a server process."""

import shutil
import signal
import threading

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

pytestmark = pytest.mark.slow

AVAILABLE, END = 30, 50


@pytest.fixture
def base_path(kit, toys, tmp_path):
    path = tmp_path / "toy"
    path.mkdir()
    kit.copy_version(toys[1], path / "1")
    return path


@pytest.fixture
def server(kit, base_path, tmp_path):
    flags = (
        "--file_system_poll_wait_seconds=0.1",
        "--grpc_max_threads=16",
        "--max_num_load_retries=0",
    )
    with kit.running(base_path, tmp_path / "log", *flags) as server:
        yield server


class Load:
    """Clients that send requests without pause and keep the responses."""

    def __init__(self, kit, server, request, clients=4):
        self.stubs, self.request = server.stubs, request
        self.versions, self.errors, self.started = [], [], 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.send) for _ in range(clients)]
        for thread in self.threads:
            thread.start()
        kit.until(lambda: len(self.versions) > 20)

    def send(self):
        while not self.stopping.is_set():
            try:
                reply = self.stubs.predict(self.request)
            except grpc.RpcError as error:
                self.errors.append((error.code().name, error.details()))
                return
            offset = reply.outputs["y"].float_val[0]
            self.versions.append((reply.model_spec.version.value, offset))

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)


def test_versions_are_swapped_repaired_and_rolled_back(kit, toys, server, base_path):
    """In sequence on one server: swap, partial copy, failure, repair, rollback."""
    load = Load(kit, server, kit.predict_request(x=np.zeros(1, np.float32)))
    status = server.stubs.status

    kit.copy_version(toys[2], base_path / "2")
    kit.until(
        lambda: status() == {2: (AVAILABLE, 0, ""), 1: (END, 0, "")}, server.log_file
    )

    # partial copy: the graph exists, the variables do not
    (base_path / "3").mkdir()
    shutil.copy(toys[1] / "saved_model.pb", base_path / "3")
    kit.until(lambda: "waiting for variables/variables.index" in server.log)
    assert 3 not in status()
    shutil.copytree(toys[1] / "variables", base_path / "3" / "variables")
    kit.until(lambda: status().get(3) == (AVAILABLE, 0, ""), server.log_file)

    # broken: the old version stays, the error is reported, the repair is noticed
    (base_path / "4").mkdir()
    broken = base_path / "4" / "saved_model.pb"
    broken.write_bytes(b"not a saved model")
    failed = (END, 15, f"Can't parse {broken} as binary proto")
    kit.until(lambda: status().get(4) == failed, server.log_file)
    assert status()[3][0] == AVAILABLE
    shutil.copytree(toys[2], base_path / "4", dirs_exist_ok=True)
    kit.until(lambda: status().get(4) == (AVAILABLE, 0, ""), server.log_file)

    # a warm-up that fails fails the load
    warm = shutil.copytree(toys[1], base_path / ".5")
    kit.write_warmup(warm, kit.predict_log(kit.predict_request(x=["no"])))
    warm.rename(base_path / "5")
    kit.until(lambda: status().get(5, (0,))[0] == END, server.log_file)
    assert status()[5][1:] == (3, "Expects arg[0] to be float but string is provided")
    assert status()[4][0] == AVAILABLE

    # rollback
    for number in (5, 4, 3, 2):
        shutil.rmtree(base_path / str(number))
    kit.until(lambda: status()[1] == (AVAILABLE, 0, ""), server.log_file)
    kit.until(lambda: load.versions[-1] == (1, 1.0))

    load.stop()
    assert load.errors == []
    right = {(1, 1.0), (2, 2.0), (3, 1.0), (4, 2.0)}
    assert set(load.versions) == right
    assert "Traceback" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_no_accepted_request(kit, server, number):
    slow = kit.predict_request("toy", "slow", turns=np.int32(20_000))
    done = [server.stubs.prediction.Predict.future(slow, timeout=60) for _ in range(12)]
    load = Load(kit, server, kit.predict_request(x=np.zeros(1, np.float32)))
    watch = health_pb2_grpc.HealthStub(server.channel).Watch(
        health_pb2.HealthCheckRequest(service="model/toy"), timeout=60
    )
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING

    server.signal(number)
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert server.wait() == 0
    load.stop()
    # All calls that had been accepted before the signal succeed ...
    assert [call.code() for call in done] == [grpc.StatusCode.OK] * len(done)
    # ... and later ones fail with a status that clients retry.
    assert {code for code, _ in load.errors} <= {"UNAVAILABLE"}
    assert "Drained: every accepted request has ended" in server.log
    assert "Traceback" not in server.log


def test_requests_that_exceed_the_drain_timeout_are_cancelled(kit, base_path, tmp_path):
    flags = ("--drain_seconds=0.5",)
    with kit.running(base_path, tmp_path / "log", *flags) as server:
        endless = kit.predict_request("toy", "slow", turns=np.int32(2**30))
        call = server.stubs.prediction.Predict.future(endless, timeout=60)
        server.stubs.predict(kit.predict_request(x=[1.0]))
        server.signal()
        assert server.wait() == 0
        assert call.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        assert "Ended with unfinished requests after 0.5 s" in server.log


def test_a_second_signal_ends_at_once(kit, server):
    endless = kit.predict_request("toy", "slow", turns=np.int32(2**30))
    call = server.stubs.prediction.Predict.future(endless, timeout=60)
    server.stubs.predict(kit.predict_request(x=[1.0]))
    server.signal()
    kit.until(lambda: "draining" in server.log)
    server.signal()
    assert server.wait() == 128 + signal.SIGTERM
    call.cancel()


def test_a_run_whose_client_has_disconnected_does_not_delay_the_drain(
    kit, base_path, tmp_path
):
    flags = ("--drain_seconds=0.5",)
    with kit.running(base_path, tmp_path / "log", *flags) as server:
        endless = kit.predict_request("toy", "slow", turns=np.int32(2**30))
        call = server.stubs.prediction.Predict.future(endless)
        server.stubs.predict(kit.predict_request(x=[1.0]))
        call.cancel()
        server.signal()
        assert server.wait() == 0
