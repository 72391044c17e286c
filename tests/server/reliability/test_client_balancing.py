"""A client of two servers, one of which stops."""

import numpy as np
import pytest

from fovea import Client
from tests.client.faults.replica import Replica

pytestmark = pytest.mark.slow


@pytest.fixture
def other():
    """A server that keeps running; its model has version 7."""
    replica = Replica(version=7)
    yield replica
    replica.stop()


def versions(client, count):
    """Return the versions in the responses; an error in any call is raised."""
    request = {"inputs": {"x": np.ones(1, np.float32)}, "model": "toy"}
    return {client.predict(**request).model_version for _ in range(count)}


def test_no_request_fails_when_a_server_stops(kit, toys, tmp_path, other):
    (tmp_path / "toy").mkdir()
    kit.copy_version(toys[1], tmp_path / "toy" / "1")
    with kit.running(tmp_path / "toy", tmp_path / "log") as server:
        addresses = [f"127.0.0.1:{each.port}" for each in (server, other)]
        with Client(addresses) as client:
            kit.until(lambda: versions(client, 4) == {1, 7})
            server.signal()
            kit.until(lambda: versions(client, 4) == {7})
            assert server.wait() == 0
            assert versions(client, 100) == {7}
