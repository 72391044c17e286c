"""The settings of a connection, and those that are rejected."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fovea import Client
from fovea.serving.client.transport.connection import Connection
from tests.client.faults.replica import images


def test_gzip_compresses_requests(start):
    """Counted by a relay between the client and the server."""
    server, sent = start(), {}
    blank = np.zeros((1000, 8, 8, 1), np.uint8)
    for compression in None, "gzip":
        with (
            relay(server.port) as (port, count),
            Client(f"127.0.0.1:{port}", compression=compression) as client,
        ):
            client.predict({"images": blank}, model="numbers")
            sent[compression] = count()
    assert sent[None] > blank.nbytes
    assert sent["gzip"] < blank.nbytes / 20


@contextlib.contextmanager
def relay(port):
    """Forward a port to another; yield it and a function that counts bytes sent."""
    listening = socket.create_server(("127.0.0.1", 0))
    passed = []

    def pump(source, sink, count):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if count:
                    passed.append(len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def run():
        caller, _ = listening.accept()
        with caller, socket.create_connection(("127.0.0.1", port)) as server:
            back = threading.Thread(target=pump, args=(server, caller, False))
            back.start()
            pump(caller, server, True)
            back.join()

    thread = threading.Thread(target=run)
    thread.start()
    yield listening.getsockname()[1], lambda: sum(passed)
    thread.join()
    listening.close()


def test_no_proxy_is_used_for_several_servers(start):
    server = start()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
        code = (
            "from fovea import Client\n"
            "from tests.client.faults.replica import images\n"
            f"with Client(['127.0.0.1:{server.port}']) as client:\n"
            "    client.predict(images(1), model='numbers')"
        )
        proxied = {**os.environ, "http_proxy": proxy}
        subprocess.run([sys.executable, "-c", code], env=proxied, check=True)


def test_a_dead_machine_is_detected_within_ten_seconds(start):
    """By the time that Linux waits for acknowledgements, which keepalive sets."""
    server = start()
    for settings, milliseconds in ({}, {10_000}), ({"keepalive": None}, set()):
        with Client(f"127.0.0.1:{server.port}", **settings) as client:
            client.predict(images(1), model="numbers")
            assert milliseconds <= acknowledge_times(server.port)
            assert milliseconds or 10_000 not in acknowledge_times(server.port)


def acknowledge_times(port):
    """Return TCP_USER_TIMEOUT of this process's connections to a port, in ms."""
    found = set()
    for number in Path("/proc/self/fd").iterdir():
        try:
            copy = socket.socket(fileno=os.dup(int(number.name)))
        except OSError:
            continue
        with copy:
            try:
                if copy.getpeername()[1] == port:
                    option = copy.getsockopt(
                        socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT
                    )
                    found.add(option)
            except OSError:
                pass
    return found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"token": "x"}, "A token is for connections with TLS"),
        ({"server_name": "x"}, "A server_name is for connections with TLS"),
        ({"tls": True, "token": "two words"}, "A token is printable ASCII text"),
        ({"client_key": b""}, "must be given together. Received: client_key"),
        (
            {"client_certificate": b""},
            "must be given together. Received: no client_key",
        ),
        ({"ca_certificate": b"x"}, "ca_certificate is a file in PEM form"),
        ({"ca_certificate": __file__}, "Received: ca_certificate='"),
        ({"compression": "zip"}, "'gzip' or None. Received: compression='zip'"),
        ({"keepalive": 0}, "at least 1 s, or None for none. Received: keepalive=0"),
        ({"max_attempts": 6}, "sent 1 to 5 times, .* Received: max_attempts=6"),
        ({"max_message_bytes": 0}, "Received: max_message_bytes=0"),
        ({"metadata": {"X": "1"}}, "lower-case letters, .* Received: 'X'"),
        ({"metadata": {"grpc-x": "1"}}, "does not begin with 'grpc-'"),
        ({"metadata": {"x-bin": "1"}}, "in '-bin' is bytes. Received: str for 'x-bin'"),
        ({"metadata": {"x": "\n"}}, "printable ASCII text, or bytes"),
        (
            {"tls": True, "token": "x", "metadata": {"authorization": "y"}},
            "one authorization: .* Received: both",
        ),
    ],
)
def test_invalid_settings(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        Client("127.0.0.1:8500", **settings)
    assert "Received: " in str(error.value)


def test_a_certificate_file_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError):
        Client("127.0.0.1:8500", ca_certificate=tmp_path / "none.pem")


def test_secrets_are_not_shown():
    shown = repr(Connection(tls=True, token="letmein", metadata={"x-key": "letmein"}))
    assert "letmein" not in shown
