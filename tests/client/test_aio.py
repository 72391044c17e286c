"""The asyncio client, against the same server."""

import asyncio
import time

import numpy as np
import pytest

from fovea import (
    AsyncClient,
    BadImage,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
)


def run(server, scenario, **settings):
    """Run `scenario(client)`, a coroutine function, in its own event loop."""

    async def main():
        async with AsyncClient(server.target, **settings) as client:
            return await scenario(client)

    return asyncio.run(main())


def test_every_method(server, shade):
    async def scenario(client):
        one = await client.predict(shade(3), model="mnist", top=2)
        assert (one.label, one.top[1].label) == ("shade-3", "shade-0")
        several = await client.predict([shade(1), shade(2)], model="mnist")
        assert [each.class_id for each in several] == [1, 2]
        array = np.zeros((3, 4, 4, 1), np.uint8)
        named = await client.predict({"images": array}, model="mnist", version=1)
        assert named.outputs["class_id"].tolist() == [0, 0, 0]
        assert named.model_version == 1
        assert (await client.labels("mnist"))[9] == "shade-9"
        assert (await client.metadata("mnist", label="stable")).version == 1
        assert (await client.status("mnist"))[0].state == "AVAILABLE"

    run(server, scenario)


def test_errors_are_those_of_the_blocking_client(server):
    async def scenario(client):
        with pytest.raises(ModelNotFound, match=r"Versions that are ready: 2\.$"):
            await client.predict({"images": [1]}, model="mnist", version=7)
        with pytest.raises(InvalidRequest, match="Its signatures: "):
            await client.predict({"images": [1]}, model="mnist", signature="a")
        with pytest.raises(BadImage, match=r"a\.png does not exist"):
            await client.predict(["a.png"], model="mnist")
        with pytest.raises(DeadlineExceeded, match=r"within 0\.1 s"):
            await client.predict(
                np.zeros((1, 4, 4, 1), np.uint8), model="slow", timeout=0.1
            )

    run(server, scenario)


def test_each_image_in_order(server, shade):
    async def scenario(client):
        images = (
            b"nonsense" if n == 70 else np.asarray(shade(n % 10)) for n in range(150)
        )
        predictions = client.predict_each(images, model="mnist", batch_size=16)
        return [prediction async for prediction in predictions]

    predictions = run(server, scenario)
    assert isinstance(predictions.pop(70), ClientError)
    assert [prediction.class_id for prediction in predictions] == [
        n % 10 for n in range(150) if n != 70
    ]


def test_cancelling_a_task_cancels_its_call(server):
    async def scenario(client):
        array = np.zeros((1, 4, 4, 1), np.uint8)
        ended = server.servicer.ended["slow"]
        task = asyncio.create_task(client.predict(array, model="slow"))
        while server.servicer.calls["slow"] == calls:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # the server notices before it has responded
        started = time.monotonic()
        while server.servicer.ended["slow"] == ended:
            await asyncio.sleep(0.01)
            assert time.monotonic() - started < 10
        assert server.servicer.cancelled["slow"] == cancelled + 1
        # and the client remains usable
        assert (await client.predict(array, model="mnist"))[0].class_id == 0

    calls = server.servicer.calls["slow"]
    while server.servicer.ended["slow"] < calls:  # of the tests before
        time.sleep(0.01)
    cancelled = server.servicer.cancelled["slow"]
    run(server, scenario)


def test_one_event_loop_after_another(server, shade):
    client = AsyncClient(server.target)

    async def predict():
        return (await client.predict(shade(4), model="mnist")).class_id

    async def predict_and_close():
        async with client:
            return await predict()

    assert [asyncio.run(predict()) for _ in range(3)] == [4, 4, 4]
    assert asyncio.run(predict_and_close()) == 4


def test_encoding_does_not_block_the_event_loop(server, shade):
    """Other tasks run while a slow source creates its images."""
    turns = []

    def slow_source():
        for n in range(3):
            seen = len(turns)
            waited = time.monotonic() + 10
            while len(turns) < seen + 2 and time.monotonic() < waited:
                time.sleep(0.001)
            yield shade(n)

    async def scenario(client):
        async def turn():
            while True:
                turns.append(1)
                await asyncio.sleep(0.001)

        turning = asyncio.create_task(turn())
        predictions = [
            prediction.class_id
            async for prediction in client.predict_each(slow_source(), model="mnist")
        ]
        turning.cancel()
        return predictions

    started = time.monotonic()
    assert run(server, scenario) == [0, 1, 2]
    assert time.monotonic() - started < 10
