"""Several servers behind one client."""

import asyncio
import threading

import pytest

from fovea import AsyncClient, Client, ServerUnavailable
from tests.client.faults.replica import images

pytestmark = pytest.mark.serial

ASK = {"model": "numbers", "batch_size": 4}


def address(server):
    return f"127.0.0.1:{server.port}"


def versions(client, requests):
    """Which replicas answered, one request after the other."""
    return [client.predict(images(1), **ASK)[0].model_version for _ in range(requests)]


def until(client, condition):
    """Ask until the replicas that answer are the wanted; gRPC tells the state late."""
    for _ in range(300):
        if condition(set(versions(client, 12))):
            return
    pytest.fail("waited in vain")


def test_calls_go_to_all_in_turn(start):
    servers = [start(version=n) for n in (1, 2, 3)]
    with Client([address(each) for each in servers]) as client:
        until(client, lambda answered: answered == {1, 2, 3})
        answered = versions(client, 30)
    assert [answered.count(n) for n in (1, 2, 3)] == [10, 10, 10]


def test_nobody_is_serving(start):
    server = start()
    server.serving(False)
    with (
        Client([address(server)]) as client,
        pytest.raises(
            ServerUnavailable, match=r"No server at 127\.0\.0\.1:\d+ accepts"
        ),
    ):
        client.predict(images(1), **ASK)
    with Client([address(server)], wait_for_ready=True, timeout=60) as client:
        answers = client.predict_each(images(1), **ASK)
        threading.Timer(0.1, server.serving, [True]).start()
        assert next(answers).label == "0"


def test_all_addresses_of_a_name(start):
    servers = [start(version=1), start(version=2)]
    # what DNS would tell of one name, since no test can have a name of its own
    dialled = "ipv4:" + ",".join(address(each) for each in servers)
    with Client(dialled) as client:
        until(client, lambda answered: answered == {1, 2})
    with Client(f"dns:///localhost:{servers[0].port}") as client:
        assert set(versions(client, 10)) == {1}
        servers[0].serving(False)
        with pytest.raises(ServerUnavailable):
            versions(client, 1000)


def test_asyncio_goes_to_all_as_well(start):
    servers = [start(version=n) for n in (1, 2)]

    async def answered():
        async with AsyncClient([address(each) for each in servers]) as client:
            found = set()
            while found != {1, 2}:
                (answer,) = await client.predict(images(1), **ASK)
                found.add(answer.model_version)

    asyncio.run(asyncio.wait_for(answered(), 60))


def test_no_call_goes_to_who_is_not_serving(start):
    well, ill = start(version=1), start(version=2)
    with Client([address(well), address(ill)]) as client:
        until(client, lambda answered: answered == {1, 2})
        ill.serving(False)
        until(client, lambda answered: answered == {1})
        before = ill.classifier.calls
        assert set(versions(client, 100)) == {1}
        assert ill.classifier.calls == before
        ill.serving(True)
        until(client, lambda answered: answered == {1, 2})


def test_a_single_server_answers_for_itself(start):
    server = start()
    server.serving(False)
    with Client(address(server)) as client:
        assert client.predict(images(1), **ASK)[0].label == "0"


def test_servers_without_a_health_service_are_taken_to_be_well(start):
    servers = [start(version=n, with_health=False) for n in (1, 2)]
    with Client([address(each) for each in servers]) as client:
        until(client, lambda answered: answered == {1, 2})


def test_one_of_three_is_killed_and_restarted_under_load(launch):
    # calls take a while, so that some are under way on the one that is killed
    replicas = [launch(version, 0.01) for version in (1, 2, 3)]
    for each in replicas:
        each.wait()
    answers, killed = [], replicas[1]
    with Client([each.target for each in replicas], in_flight=12) as client:
        until(client, lambda answered: answered == {1, 2, 3})
        for answer in client.predict_each(images(2000), **ASK):
            answers.append(answer)
            if len(answers) == 600:
                killed.kill()
            if len(answers) == 1200:
                killed.start()
        assert [answer for answer in answers if isinstance(answer, Exception)] == []
        assert [answer.label for answer in answers] == [str(n) for n in range(2000)]
        versions_of = [answer.model_version for answer in answers]
        assert set(versions_of[:600]) == {1, 2, 3}
        assert set(versions_of[700:1200]) == {1, 3}
        killed.wait()
        until(client, lambda answered: answered == {1, 2, 3})


def test_names_and_numbers_are_mixed(start):
    """A name that has IPv4 addresses is asked at those."""
    one, two = start(version=1), start(version=2)
    with Client([f"localhost:{one.port}", address(two)]) as client:
        until(client, lambda answered: answered == {1, 2})


def test_ipv4_and_ipv6_are_mixed(start):
    one, two = start(version=1), start("[::1]:0", version=2)
    with Client([address(one), f"[::1]:{two.port}"]) as client:
        until(client, lambda answered: answered == {1, 2})


def test_a_name_among_several_that_nobody_knows():
    with pytest.raises(ServerUnavailable) as error:
        Client(["127.0.0.1:8500", "no-such-host.invalid:8500"])
    assert str(error.value).startswith(
        "The host name in no-such-host.invalid:8500 cannot be resolved"
    )


@pytest.mark.parametrize(
    "target", [[], [""], ["127.0.0.1"], ["unix:/x"], "dns:///name", [8500]]
)
def test_addresses_that_are_none(target):
    with pytest.raises(ValueError, match=r"HOST:PORT.* Received: "):
        Client(target)
