"""A prediction or an error for each of many images, in their order."""

import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest

from fovea import (
    BadImage,
    Client,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ServerUnavailable,
)
from fovea.serving.client.named_image import NamedImage


@pytest.fixture
def files(shade, tmp_path):
    """files(count) -> paths of that many images, image n of class n % 10."""

    def write(count):
        paths = [tmp_path / f"{n:04}.png" for n in range(count)]
        for n, path in enumerate(paths):
            shade(n % 10).save(path)
        return paths

    return write


def test_errors_are_reported_in_the_order_of_the_images(client, files, shade):
    paths = files(130)
    paths[3].write_bytes(b"hello")
    paths[64].write_bytes(paths[64].read_bytes()[:-20])
    paths[70].unlink()
    whole = bytearray(paths[80].read_bytes())  # its header and its end are sound
    whole[len(whole) // 2] ^= 0xFF
    paths[80].write_bytes(whole)
    shade(1, size=(28, 13)).save(paths[90])  # only the model rejects it
    predictions = list(client.predict_each(map(str, paths), model="mnist", top=2))
    bad = {
        n: each for n, each in enumerate(predictions) if isinstance(each, ClientError)
    }
    assert sorted(bad) == [3, 64, 70, 80, 90]
    assert [type(bad[n]) for n in sorted(bad)] == [BadImage] * 4 + [InvalidRequest]
    assert str(bad[3]) == f"{paths[3]} is not an image that Pillow can read."
    assert str(bad[64]) == f"{paths[64]} is truncated: the end of the file is missing."
    assert str(bad[70]) == f"{paths[70]} does not exist."
    assert str(bad[80]).startswith(f"{paths[80]} (")
    assert [bad[n].item for n in sorted(bad)] == [str(paths[n]) for n in sorted(bad)]
    assert str(bad[90]).startswith(f"{paths[90]}: Model 'mnist'")
    assert "13 rows bring bad luck" in str(bad[90])
    assert bad[90].code == "INVALID_ARGUMENT"
    for n, prediction in enumerate(predictions):
        if n not in bad:
            assert prediction.class_id == n % 10
            assert prediction.top[1].label is not None


def test_images_without_a_path_are_named_by_their_index(client, shade):
    images = [np.asarray(shade(1)), b"hello", shade(1, size=(28, 13))]
    good, bad, rejected = client.predict_each(images, model="mnist")
    assert good.class_id == 1
    assert str(bad).startswith("images[1] (5 bytes) is not an image")
    assert str(rejected).startswith("images[2]: Model 'mnist'")
    assert (bad.item, rejected.item) == ("images[1]", "images[2]")


def test_images_with_a_name_are_reported_by_it(client, shade):
    images = [
        NamedImage("a", shade(1)),
        NamedImage("b", b"hello"),
        NamedImage("c", BadImage("c matches no file.")),
        NamedImage("d", shade(1, size=(28, 13))),
    ]
    good, *bad = client.predict_each(images, model="mnist")
    assert good.class_id == 1
    assert [error.item for error in bad] == ["b", "c", "d"]
    assert str(bad[0]).startswith("b (5 bytes) is not an image")
    assert str(bad[1]) == "c matches no file."
    assert str(bad[2]).startswith("d: Model 'mnist'")
    assert client.predict(images[0], model="mnist").class_id == 1


def test_predict_raises_the_first_error(client, shade):
    with pytest.raises(BadImage, match=r"images\[1\] \(5 bytes\) is not"):
        client.predict([shade(1), b"hello", b"hi"], model="mnist")


def test_images_are_read_as_the_predictions_are_consumed(server, shade):
    read = 0

    def source():
        nonlocal read
        for n in range(1000):
            read += 1
            yield np.asarray(shade(n % 10))

    with Client(server.target, in_flight=2) as client:
        predictions = client.predict_each(source(), model="content", batch_size=5)
        assert next(predictions).class_id == 0
        assert read == 15  # two requests under way, one made meanwhile
        predictions.close()
        assert read == 15


def test_an_array_is_sent_as_pixels(server, client):
    server.servicer.batches.clear()
    array = np.full((20, 4, 4, 1), 255, np.uint8)
    predictions = list(client.predict_each(array, model="mnist", batch_size=8))
    assert [prediction.class_id for prediction in predictions] == [9] * 20
    assert sorted(server.servicer.batches["mnist"]) == [4, 8, 8]


def test_an_unknown_signature_is_rejected_with_a_single_call(server, client):
    server.servicer.calls.clear()
    array = np.zeros((20, 4, 4, 1), np.uint8)
    predictions = list(client.predict_each(array, model="mnist", signature="regress"))
    assert len(predictions) == 20
    assert all("Received: 'regress'" in str(prediction) for prediction in predictions)
    assert server.servicer.calls["mnist"] == 1


class Dying:
    """Forwards calls to the servicer, and is unavailable after a number of them."""

    def __init__(self, servicer, limit):
        self.servicer = servicer
        self.limit = limit
        self.received = 0
        self.lock = threading.Lock()

    def __getattr__(self, name):
        return getattr(self.servicer, name)

    def Predict(self, request, context):
        with self.lock:
            self.received += 1
            dead = self.received > self.limit
        if dead:
            context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
        return self.servicer.Predict(request, context)


@pytest.fixture
def dying(official, server):
    """dying(n) -> address and servicer of a server that fails after n requests."""
    running = []

    def start(limit):
        own = grpc.server(futures.ThreadPoolExecutor(4))
        servicer = Dying(server.servicer, limit)
        official.prediction_service.add_PredictionServiceServicer_to_server(
            servicer, own
        )
        port = own.add_insecure_port("127.0.0.1:0")
        own.start()
        running.append(own)
        return f"127.0.0.1:{port}", servicer

    yield start
    for own in running:
        own.stop(None).wait()


def test_an_outage_is_reported_for_the_images_that_it_affects(dying, shade):
    target, servicer = dying(3)
    images = [np.asarray(shade(n % 10)) for n in range(1000)]
    started = time.monotonic()
    with Client(target, in_flight=2, timeout=60) as client:
        predictions = list(client.predict_each(images, model="mnist", batch_size=10))
    assert len(predictions) == 1000
    succeeded = [
        n for n, each in enumerate(predictions) if not isinstance(each, Exception)
    ]
    # of the two requests under way at that time either may be the third
    assert len(succeeded) == 30
    assert succeeded[:20] == list(range(20))
    lost = [each for n, each in enumerate(predictions) if n not in succeeded]
    assert all(isinstance(each, ServerUnavailable) for each in lost)
    # 97 requests more, each sent four times by gRPC, would be 388
    assert servicer.received < 100
    assert time.monotonic() - started < 50


def test_predictions_resume_after_an_outage(dying, shade, monkeypatch):
    monkeypatch.setattr("fovea.serving.client.calls.circuit_breaker.PROBE_SECONDS", 0.2)
    target, servicer = dying(0)

    def source():
        yield from [shade(1)] * 10
        servicer.limit = 10**6
        for n in range(2, 5):
            time.sleep(0.3)
            yield from [shade(n)] * 5

    with Client(target, in_flight=1) as client:
        predictions = list(client.predict_each(source(), model="mnist", batch_size=5))
    assert all(isinstance(each, ServerUnavailable) for each in predictions[:5])
    assert [each.class_id for each in predictions[10:]] == [2] * 5 + [3] * 5 + [4] * 5


def test_a_server_that_hangs_costs_one_timeout_not_one_per_image(server, shade):
    images = [np.asarray(shade(1))] * 400
    server.servicer.calls.clear()
    with Client(server.target, timeout=0.2) as client:
        predictions = list(client.predict_each(images, model="slow", batch_size=2))
    assert len(predictions) == 400
    assert all(isinstance(each, DeadlineExceeded) for each in predictions)
    assert server.servicer.calls["slow"] < 50
