"""Ports that cannot be had, and the end of a server that answers REST requests."""

import http.client
import socket
import threading

import pytest

pytestmark = pytest.mark.slow

SLOW = '{"signature_name": "slow", "inputs": 3000}'
PREDICT = "/v1/models/toy:predict"


def test_draining_answers_what_was_asked(
    running_rest, rest_client, toy_directory, tmp_path
):
    with running_rest(toy_directory, tmp_path / "log") as (server, client):
        idle = rest_client(client.port)
        assert idle.ask("GET", "/v1/models/toy")[0] == 200  # and stays connected
        answers = []

        def ask(body, times):
            own = rest_client(client.port)
            for _ in range(times):
                try:
                    answers.append(own.ask("POST", PREDICT, body)[0])
                except (http.client.HTTPException, OSError) as error:
                    answers.append(error)
                    break
            own.close()

        slow = [threading.Thread(target=ask, args=(SLOW, 1)) for _ in range(4)]
        for thread in slow:
            thread.start()
        busy = threading.Thread(target=ask, args=('{"instances": [1]}', 50))
        busy.start()
        server.signal()
        assert server.wait() == 0
        for thread in (*slow, busy):
            thread.join(60)
        told = [answer for answer in answers if answer != 200]
        # The busy client is told to close; to connect again is then refused.
        assert all(isinstance(answer, ConnectionRefusedError) for answer in told), told
        assert len(told) <= 1
        idle.close()
        assert "Drained: every accepted request has ended" in server.log


def test_without_rest_where_the_port_is_taken(kit, toy_directory, tmp_path):
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
