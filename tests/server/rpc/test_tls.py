"""TLS on the gRPC port and the socket."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fovea.serving.server.errors import ServingError
from fovea.serving.server.rpc import tls

Check = health_pb2.HealthCheckRequest


def write_config(path, **fields):
    """Write text protobuf; a string may span lines if each is quoted."""
    lines = []
    for name, value in fields.items():
        if isinstance(value, str):
            quoted = " ".join(f'"{line}\\n"' for line in value.splitlines() or [""])
            lines.append(f"{name}: {quoted}")
        else:
            lines.append(f"{name}: {str(value).lower()}")
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture
def listening(tmp_path):
    """listening(config) listens with its credentials on a port and a socket."""
    servers = []

    def listen(path):
        server = grpc.server(ThreadPoolExecutor(2))
        servicer = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        credentials = tls.server_credentials(path)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        socket = f"unix:{tmp_path}/socket"
        server.add_secure_port(socket, credentials)
        server.start()
        servers.append(server)
        return f"localhost:{port}", socket

    yield listen
    for server in servers:
        server.stop(None).wait()


def is_served(address, credentials=None):
    options = [("grpc.ssl_target_name_override", "localhost")]
    if credentials is None:
        channel = grpc.insecure_channel(address)
    else:
        channel = grpc.secure_channel(address, credentials, options)
    with channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(Check(), timeout=30)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            return False
        return reply.status == health_pb2.HealthCheckResponse.SERVING


def client(pem, key=None, ca="ca.crt"):
    if key is None:
        return grpc.ssl_channel_credentials(pem[ca].encode())
    return grpc.ssl_channel_credentials(
        pem[ca].encode(), pem[f"{key}.key"].encode(), pem[f"{key}.crt"].encode()
    )


def test_tls_accepts_clients_that_trust_the_certificate(pem, listening, tmp_path):
    path = write_config(
        tmp_path / "ssl", server_key=pem["server.key"], server_cert=pem["server.crt"]
    )
    for address in listening(path):
        assert is_served(address, client(pem))
        assert not is_served(address, client(pem, ca="other.crt"))
        assert not is_served(address)


def test_mutual_tls_accepts_clients_that_the_authority_signed(pem, listening, tmp_path):
    path = write_config(
        tmp_path / "ssl",
        server_key=pem["server.key"],
        server_cert=pem["server.crt"],
        custom_ca=pem["ca.crt"],
        client_verify=True,
    )
    for address in listening(path):
        assert is_served(address, client(pem, "client"))
        assert not is_served(address, client(pem, "other"))
        assert not is_served(address, client(pem))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"server_key": "no key"}, "must be in PEM form"),
        ({"server_key": "other.key"}, "and server_key must belong to server_cert"),
        ({"server_cert": ""}, "must be in PEM form"),
        ({"custom_ca": "no authority", "client_verify": True}, "must be in PEM form"),
        ({"client_verify": True}, "client_verify needs custom_ca"),
    ],
)
def test_invalid_credentials_are_rejected(pem, tmp_path, change, message):
    fields = {"server_key": "server.key", "server_cert": "server.crt"} | change
    path = write_config(
        tmp_path / "ssl",
        **{name: pem.get(fields[name], fields[name]) for name in fields},
    )
    with pytest.raises(ServingError, match=message) as error:
        tls.server_credentials(path)
    assert error.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert path in str(error.value)


def test_a_file_that_is_not_a_config(tmp_path):
    with pytest.raises(ServingError) as error:
        tls.server_credentials(str(tmp_path / "none"))
    assert str(error.value) == f"NOT_FOUND: {tmp_path}/none; No such file or directory"
    (tmp_path / "odd").write_text("key: 'x'")
    with pytest.raises(ServingError) as error:
        tls.server_credentials(str(tmp_path / "odd"))
    assert str(error.value) == (
        f"INVALID_ARGUMENT: Invalid protobuf file: '{tmp_path}/odd'"
    )


@pytest.mark.slow
def test_the_server_accepts_only_tls(kit, pem, toys, tmp_path):
    base_path = tmp_path / "toy"
    base_path.mkdir()
    kit.copy_version(toys[1], base_path / "1")
    ssl = write_config(
        tmp_path / "ssl",
        server_key=pem["server.key"],
        server_cert=pem["server.crt"],
        custom_ca=pem["ca.crt"],
        client_verify=True,
    )
    flags = (f"--ssl_config_file={ssl}", f"--grpc_socket_path={tmp_path}/socket")
    with kit.running(base_path, tmp_path / "log", *flags) as server:
        for address in (f"localhost:{server.port}", f"unix:{tmp_path}/socket"):
            assert is_served(address, client(pem, "client"))
            assert not is_served(address, client(pem))
            assert not is_served(address)
