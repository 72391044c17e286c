"""A server with a REST API, and its client."""

import contextlib
import http.client

import pytest


class Rest:
    """A connection to a REST API, reopened when the server closes it."""

    def __init__(self, port):
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def request(self, method, path, body=None, **headers):
        if isinstance(body, str):
            body = body.encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, names)
        reply = self.connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()

    def close(self):
        self.connection.close()


@pytest.fixture(scope="session")
def rest_client():
    return Rest


@pytest.fixture(scope="session")
def running_rest(kit):
    """start(...) runs a server on toy versions until the end of a `with`."""

    @contextlib.contextmanager
    def start(base_path, log_file, *flags):
        port = kit.free_port()
        given = (f"--rest_api_port={port}", *flags)
        with kit.running(base_path, log_file, *given) as server:
            kit.until(lambda: "Exporting HTTP/REST API" in server.log, log_file)
            client = Rest(port)
            yield server, client
            client.close()

    return start


@pytest.fixture(scope="module")
def toy_directory(kit, toys, tmp_path_factory):
    path = tmp_path_factory.mktemp("rest") / "toy"
    path.mkdir()
    kit.copy_version(toys[1], path / "1")
    return path
