"""Who the server is, and who asks: certificates and tokens."""

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


def ask(target, **settings):
    with Client(target, max_attempts=1, **settings) as client:
        return client.predict(images(3), model="numbers")[2].label


def failure(target, **settings):
    with pytest.raises(ServerUnavailable) as error:
        ask(target, **settings)
    assert error.value.code == "UNAVAILABLE"
    assert error.value.details
    assert target in str(error.value)
    return str(error.value)


def test_a_server_whose_authority_is_trusted(secure, ca, pem, tmp_path):
    assert ask(secure(), ca_certificate=ca) == "2"
    file = tmp_path / "ca.pem"
    file.write_text(pem["ca.crt"])
    assert ask(secure(), ca_certificate=file) == "2"
    assert ask(secure(), ca_certificate=str(file), tls=True) == "2"


def test_the_authorities_of_this_machine(secure, pem, tmp_path, monkeypatch):
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    assert "authority that is not trusted" in failure(secure(), tls=True)
    file = tmp_path / "ca.pem"
    file.write_text(pem["ca.crt"])
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert ask(secure(), tls=True) == "2"


def test_an_authority_that_is_not_trusted(secure, pem):
    said = failure(secure(), ca_certificate=pem["other.crt"].encode())
    assert "comes from an authority that is not trusted" in said
    assert "unable to get local issuer certificate" in said
    assert "ca_certificate" in said


def test_a_certificate_for_another_name(secure, ca):
    said = failure(secure("elsewhere"), ca_certificate=ca)
    assert "is for another name; pass its name as server_name" in said
    name = "elsewhere.example"
    assert ask(secure("elsewhere"), ca_certificate=ca, server_name=name) == "2"
    assert "for another name" in failure(secure(), ca_certificate=ca, server_name=name)


def test_a_certificate_out_of_date(secure, ca):
    said = failure(secure("expired"), ca_certificate=ca)
    assert "is not valid now (certificate has expired)" in said


def test_tls_and_plaintext_do_not_meet(secure, start, ca):
    plain = f"127.0.0.1:{start().port}"
    assert "does not use TLS; connect without" in failure(plain, ca_certificate=ca)
    assert "it may require TLS" in failure(secure())


def test_a_server_that_asks_who_is_there(secure, ca, pem, tmp_path):
    target = secure(mutual=True)
    for name in ("client.crt", "client.key"):
        (tmp_path / name).write_text(pem[name])
    assert "a client certificate that it trusts" in failure(target, ca_certificate=ca)
    settings = {
        "ca_certificate": ca,
        "client_certificate": tmp_path / "client.crt",
        "client_key": tmp_path / "client.key",
    }
    assert ask(target, **settings) == "2"
    stranger = {
        "ca_certificate": ca,
        "client_certificate": pem["other.crt"].encode(),
        "client_key": pem["other.key"].encode(),
    }
    assert "a client certificate that it trusts" in failure(target, **stranger)
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
    assert ask(several, ca_certificate=ca, server_name=name) == "2"
    # one host at two ports has one name anyway
    assert ask([secure(), secure()], ca_certificate=ca) == "2"


def test_tokens(secure, ca):
    target = secure()
    server = secure.servers["server", False].classifier
    server.token = "letmein"
    try:
        assert ask(target, ca_certificate=ca, token="letmein\n") == "2"
        assert server.metadata["authorization"] == "Bearer letmein"
        tokens = iter(["letmein", "expired"])
        with Client(target, ca_certificate=ca, token=lambda: next(tokens)) as client:
            assert client.predict(images(1), model="numbers")[0].label == "0"
            refused(client, "UNAUTHENTICATED", "rejects the credentials")
        with Client(target, ca_certificate=ca, token="guest") as client:
            refused(client, "PERMISSION_DENIED", "denies this client permission")
    finally:
        server.token = None


def refused(client, code, words):
    with pytest.raises(ClientError, match=words) as error:
        client.predict(images(1), model="numbers")
    assert error.value.code == code


def test_a_token_that_cannot_be_had(secure, ca):
    def token():
        raise OSError("the vault is closed")

    said = failure(secure(), ca_certificate=ca, token=token)
    assert "is unavailable (the vault is closed)" in said


def test_metadata_goes_with_every_call(start):
    server = start()
    metadata = {"x-team": "vision", "x-trace-bin": b"\x00\xff"}
    assert ask(f"127.0.0.1:{server.port}", metadata=metadata) == "2"
    assert metadata.items() <= server.classifier.metadata.items()


def test_the_same_for_asyncio(secure, ca):
    target, server = secure(), secure.servers["server", False].classifier

    async def ask(**settings):
        async with AsyncClient(target, ca_certificate=ca, **settings) as client:
            return (await client.predict(images(3), model="numbers"))[2].label

    assert asyncio.run(ask(token="letmein")) == "2"
    assert server.metadata["authorization"] == "Bearer letmein"
    assert asyncio.run(ask(metadata={"x-team": "vision"})) == "2"
    assert server.metadata["x-team"] == "vision"
