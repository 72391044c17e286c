"""Several servers behind one client."""

import asyncio
import threading

import pytest

from fovea import AsyncClient, Client, ServerUnavailable
from tests.client.faults.replica import images

pytestmark = pytest.mark.serial

TARGET = {"model": "numbers", "batch_size": 4}


def address(server):
    return f"127.0.0.1:{server.port}"


def versions(client, requests):
    """Return the replicas' versions for a number of sequential requests."""
    return [
        client.predict(images(1), **TARGET)[0].model_version for _ in range(requests)
    ]


def until(client, condition):
    """Send requests until the condition holds; gRPC reports state changes late."""
    for _ in range(300):
        if condition(set(versions(client, 12))):
            return
    pytest.fail("waited in vain")


def test_calls_are_distributed_round_robin(start):
    servers = [start(version=n) for n in (1, 2, 3)]
    with Client([address(each) for each in servers]) as client:
        until(client, lambda seen: seen == {1, 2, 3})
        counted = versions(client, 30)
    assert [counted.count(n) for n in (1, 2, 3)] == [10, 10, 10]


def test_no_server_is_serving(start):
    server = start()
    server.serving(False)
    with (
        Client([address(server)]) as client,
        pytest.raises(
            ServerUnavailable, match=r"No server at 127\.0\.0\.1:\d+ accepts"
        ),
    ):
        client.predict(images(1), **TARGET)
    with Client([address(server)], wait_for_ready=True, timeout=60) as client:
        predictions = client.predict_each(images(1), **TARGET)
        threading.Timer(0.1, server.serving, [True]).start()
        assert next(predictions).label == "0"


def test_all_addresses_of_a_name(start):
    servers = [start(version=1), start(version=2)]
    # what DNS would return for one name, since no test can have a name of its own
    dialled = "ipv4:" + ",".join(address(each) for each in servers)
    with Client(dialled) as client:
        until(client, lambda seen: seen == {1, 2})
    with Client(f"dns:///localhost:{servers[0].port}") as client:
        assert set(versions(client, 10)) == {1}
        servers[0].serving(False)
        with pytest.raises(ServerUnavailable):
            versions(client, 1000)


def test_asyncio_calls_are_distributed_as_well(start):
    servers = [start(version=n) for n in (1, 2)]

    async def collect():
        async with AsyncClient([address(each) for each in servers]) as client:
            found = set()
            while found != {1, 2}:
                (prediction,) = await client.predict(images(1), **TARGET)
                found.add(prediction.model_version)

    asyncio.run(asyncio.wait_for(collect(), 60))


def test_no_call_goes_to_a_server_that_is_not_serving(start):
    healthy, unhealthy = start(version=1), start(version=2)
    with Client([address(healthy), address(unhealthy)]) as client:
        until(client, lambda seen: seen == {1, 2})
        unhealthy.serving(False)
        until(client, lambda seen: seen == {1})
        before = unhealthy.classifier.calls
        assert set(versions(client, 100)) == {1}
        assert unhealthy.classifier.calls == before
        unhealthy.serving(True)
        until(client, lambda seen: seen == {1, 2})


def test_the_health_of_a_single_server_is_not_checked(start):
    server = start()
    server.serving(False)
    with Client(address(server)) as client:
        assert client.predict(images(1), **TARGET)[0].label == "0"


def test_servers_without_a_health_service_count_as_healthy(start):
    servers = [start(version=n, with_health=False) for n in (1, 2)]
    with Client([address(each) for each in servers]) as client:
        until(client, lambda seen: seen == {1, 2})


def test_one_of_three_is_killed_and_restarted_under_load(launch):
    # calls take a while, so that some are under way on the one that is killed
    replicas = [launch(version, 0.01) for version in (1, 2, 3)]
    for each in replicas:
        each.wait()
    predictions, killed = [], replicas[1]
    with Client([each.target for each in replicas], in_flight=12) as client:
        until(client, lambda seen: seen == {1, 2, 3})
        for prediction in client.predict_each(images(2000), **TARGET):
            predictions.append(prediction)
            if len(predictions) == 600:
                killed.kill()
            if len(predictions) == 1200:
                killed.start()
        assert [
            prediction
            for prediction in predictions
            if isinstance(prediction, Exception)
        ] == []
        assert [prediction.label for prediction in predictions] == [
            str(n) for n in range(2000)
        ]
        versions_of = [prediction.model_version for prediction in predictions]
        assert set(versions_of[:600]) == {1, 2, 3}
        assert set(versions_of[700:1200]) == {1, 3}
        killed.wait()
        until(client, lambda seen: seen == {1, 2, 3})


def test_host_names_and_ip_addresses_are_mixed(start):
    """The IPv4 addresses of a host name are used where it has any."""
    one, two = start(version=1), start(version=2)
    with Client([f"localhost:{one.port}", address(two)]) as client:
        until(client, lambda seen: seen == {1, 2})


def test_ipv4_and_ipv6_are_mixed(start):
    one, two = start(version=1), start("[::1]:0", version=2)
    with Client([address(one), f"[::1]:{two.port}"]) as client:
        until(client, lambda seen: seen == {1, 2})


def test_an_unknown_host_name_among_several():
    with pytest.raises(ServerUnavailable) as error:
        Client(["127.0.0.1:8500", "no-such-host.invalid:8500"])
    assert str(error.value).startswith(
        "The host name in no-such-host.invalid:8500 cannot be resolved"
    )


@pytest.mark.parametrize(
    "target", [[], [""], ["127.0.0.1"], ["unix:/x"], "dns:///name", [8500]]
)
def test_invalid_addresses(target):
    with pytest.raises(ValueError, match=r"HOST:PORT.* Received: "):
        Client(target)
