"""Ports that cannot be bound, and the shutdown of a server with a REST API."""

import http.client
import socket
import threading

import pytest

pytestmark = pytest.mark.slow

SLOW = '{"signature_name": "slow", "inputs": 3000}'
PREDICT = "/v1/models/toy:predict"


def test_draining_completes_accepted_requests(
    running_rest, rest_client, toy_directory, tmp_path
):
    with running_rest(toy_directory, tmp_path / "log") as (server, client):
        idle = rest_client(client.port)
        assert (
            idle.request("GET", "/v1/models/toy")[0] == 200
        )  # and keeps its connection
        outcomes = []

        def predict(body, times):
            own = rest_client(client.port)
            for _ in range(times):
                is_new = own.connection.sock is None
                try:
                    outcomes.append((is_new, own.request("POST", PREDICT, body)[0]))
                except (http.client.HTTPException, OSError) as error:
                    outcomes.append((is_new, error))
                    break
            own.close()

        slow = [threading.Thread(target=predict, args=(SLOW, 1)) for _ in range(4)]
        for thread in slow:
            thread.start()
        busy = threading.Thread(target=predict, args=('{"instances": [1]}', 50))
        busy.start()
        server.signal()
        assert server.wait() == 0
        for thread in (*slow, busy):
            thread.join(60)
        errors = [(new, outcome) for new, outcome in outcomes if outcome != 200]
        idle.close()
        # The busy client's connection is closed after a response. A new one is refused,
        # or reset if the listener closes meanwhile; one in use is never reset.
        expected = (ConnectionRefusedError, ConnectionResetError)
        assert all(new and isinstance(error, expected) for new, error in errors), errors
        assert len(errors) <= 1
        assert "Drained: every accepted request has ended" in server.log


def test_without_rest_if_the_port_is_in_use(kit, toy_directory, tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with kit.running(
            toy_directory, tmp_path / "log", f"--rest_api_port={port}"
        ) as server:
            server.stubs.predict(kit.predict_request(x=kit.np.float32([1])))
            assert f"Failed to start HTTP Server at localhost:{port}" in server.log
            assert "Exporting HTTP/REST" not in server.log
