"""Authentication of server and client: certificates and tokens."""

import asyncio

import grpc
import pytest

from fovea import AsyncClient, Client, ClientError, ServerUnavailable
from tests.client.faults.replica import Replica, images


@pytest.fixture(scope="module")
def secure(pem):
    """secure(name, mutual=False) -> HOST:PORT of a server with that certificate."""
    servers = {}

    def start(name="server", mutual=False):
        if (name, mutual) not in servers:
            credentials = grpc.ssl_server_credentials(
                [(pem[f"{name}.key"].encode(), pem[f"{name}.crt"].encode())],
                pem["ca.crt"].encode() if mutual else None,
                mutual,
            )
            servers[name, mutual] = Replica(credentials=credentials)
        return f"127.0.0.1:{servers[name, mutual].port}"

    start.servers = servers
    yield start
    for server in servers.values():
        server.stop()


@pytest.fixture
def ca(pem):
    return pem["ca.crt"].encode()


def predict(target, **settings):
    with Client(target, max_attempts=1, **settings) as client:
        return client.predict(images(3), model="numbers")[2].label


def failure(target, **settings):
    with pytest.raises(ServerUnavailable) as error:
        predict(target, **settings)
    assert error.value.code == "UNAVAILABLE"
    assert error.value.details
    assert target in str(error.value)
    return str(error.value)


def test_a_server_with_a_trusted_authority(secure, ca, pem, tmp_path):
    assert predict(secure(), ca_certificate=ca) == "2"
    file = tmp_path / "ca.pem"
    file.write_text(pem["ca.crt"])
    assert predict(secure(), ca_certificate=file) == "2"
    assert predict(secure(), ca_certificate=str(file), tls=True) == "2"


def test_the_system_s_authorities_are_trusted(secure, pem, tmp_path, monkeypatch):
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    assert "authority that is not trusted" in failure(secure(), tls=True)
    file = tmp_path / "ca.pem"
    file.write_text(pem["ca.crt"])
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert predict(secure(), tls=True) == "2"


def test_an_authority_that_is_not_trusted(secure, pem):
    message = failure(secure(), ca_certificate=pem["other.crt"].encode())
    assert "comes from an authority that is not trusted" in message
    assert "unable to get local issuer certificate" in message
    assert "ca_certificate" in message


def test_a_certificate_for_another_name(secure, ca):
    message = failure(secure("elsewhere"), ca_certificate=ca)
    assert "is for another name; pass its name as server_name" in message
    name = "elsewhere.example"
    assert predict(secure("elsewhere"), ca_certificate=ca, server_name=name) == "2"
    assert "for another name" in failure(secure(), ca_certificate=ca, server_name=name)


def test_an_expired_certificate(secure, ca):
    message = failure(secure("expired"), ca_certificate=ca)
    assert "is not valid now (certificate has expired)" in message


def test_tls_on_one_side_only(secure, start, ca):
    plain = f"127.0.0.1:{start().port}"
    assert "does not use TLS; connect without" in failure(plain, ca_certificate=ca)
    assert "it may require TLS" in failure(secure())


def test_a_server_that_requires_a_client_certificate(secure, ca, pem, tmp_path):
    target = secure(mutual=True)
    for name in ("client.crt", "client.key"):
        (tmp_path / name).write_text(pem[name])
    assert "a client certificate that it trusts" in failure(target, ca_certificate=ca)
    settings = {
        "ca_certificate": ca,
        "client_certificate": tmp_path / "client.crt",
        "client_key": tmp_path / "client.key",
    }
    assert predict(target, **settings) == "2"
    untrusted = {
        "ca_certificate": ca,
        "client_certificate": pem["other.crt"].encode(),
        "client_key": pem["other.key"].encode(),
    }
    assert "a client certificate that it trusts" in failure(target, **untrusted)
    settings["client_key"] = pem["server.key"].encode()
    assert "must belong to its certificate" in failure(target, **settings)


def test_several_servers_share_one_name(secure, ca):
    several = [
        secure("elsewhere"),
        secure("elsewhere").replace("127.0.0.1", "localhost"),
    ]
    with pytest.raises(ValueError, match=r"pass it as server_name\. Received: 127"):
        Client(several, ca_certificate=ca)
    name = "elsewhere.example"
    assert predict(several, ca_certificate=ca, server_name=name) == "2"
    # one host at two ports has one name anyway
    assert predict([secure(), secure()], ca_certificate=ca) == "2"


def test_tokens(secure, ca):
    target = secure()
    server = secure.servers["server", False].classifier
    server.token = "letmein"
    try:
        assert predict(target, ca_certificate=ca, token="letmein\n") == "2"
        assert server.metadata["authorization"] == "Bearer letmein"
        tokens = iter(["letmein", "expired"])
        with Client(target, ca_certificate=ca, token=lambda: next(tokens)) as client:
            assert client.predict(images(1), model="numbers")[0].label == "0"
            rejected(client, "UNAUTHENTICATED", "rejects the credentials")
        with Client(target, ca_certificate=ca, token="guest") as client:
            rejected(client, "PERMISSION_DENIED", "denies this client permission")
    finally:
        server.token = None


def rejected(client, code, message):
    with pytest.raises(ClientError, match=message) as error:
        client.predict(images(1), model="numbers")
    assert error.value.code == code


def test_a_token_that_is_unavailable(secure, ca):
    def token():
        raise OSError("the vault is closed")

    message = failure(secure(), ca_certificate=ca, token=token)
    assert "is unavailable (the vault is closed)" in message


def test_metadata_is_sent_with_every_call(start):
    server = start()
    metadata = {"x-team": "vision", "x-trace-bin": b"\x00\xff"}
    assert predict(f"127.0.0.1:{server.port}", metadata=metadata) == "2"
    assert metadata.items() <= server.classifier.metadata.items()


def test_the_same_for_asyncio(secure, ca):
    target, server = secure(), secure.servers["server", False].classifier

    async def predict(**settings):
        async with AsyncClient(target, ca_certificate=ca, **settings) as client:
            return (await client.predict(images(3), model="numbers"))[2].label

    assert asyncio.run(predict(token="letmein")) == "2"
    assert server.metadata["authorization"] == "Bearer letmein"
    assert asyncio.run(predict(metadata={"x-team": "vision"})) == "2"
    assert server.metadata["x-team"] == "vision"
