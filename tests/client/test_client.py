"""The client against a server on a socket."""

import http.server
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from fovea import (
    BadImage,
    Client,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ServerUnavailable,
    Signature,
    TensorSpec,
    VersionStatus,
)

PATIENCE = 8  # seconds, less than the default timeout of a call


def shades(count):
    """A uint8 array of `count` images: image n belongs to class n % 10."""
    values = [round((n % 10) * 255 / 9) for n in range(count)]
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1) * np.ones(
        (1, 4, 4, 1), np.uint8
    )


@pytest.mark.parametrize("model", ["mnist", "content"])
def test_predict_any_signature(client, model):
    result = client.predict({"images": shades(3)}, model=model)
    assert result.model_version == 2
    assert result.outputs["probabilities"].shape == (3, 10)
    assert result.outputs["probabilities"].dtype == np.float32
    assert result.outputs["class_id"].tolist() == [0, 1, 2]
    assert result.outputs["label"].tolist() == [b"shade-0", b"shade-1", b"shade-2"]


def test_version_and_label(client):
    target = {"inputs": {"images": shades(1)}, "model": "mnist"}
    assert client.predict(**target, version=1).model_version == 1
    assert client.predict(**target, label="stable").model_version == 1
    with pytest.raises(ValueError, match="by version or by label, not both"):
        client.predict(**target, version=1, label="stable")


@pytest.mark.parametrize("model", ["mnist", "content"])
def test_classify_files_of_all_kinds(client, model, shade, tmp_path):
    sources = []
    for n, suffix in enumerate(["png", "jpg", "bmp", "gif", "webp", "tif"]):
        path = tmp_path / f"{n}.{suffix}"
        shade(n, "RGB", (20 + n, 30)).save(path)
        sources.append(path)
    sources += [shade(6), np.asarray(shade(7)), sources[0].read_bytes()]
    predictions = client.predict(sources, model=model)
    assert [prediction.class_id for prediction in predictions] == [*range(8), 0]
    first = predictions[0]
    assert first.label == "shade-0"
    assert first.probability == pytest.approx(0.91)
    assert first.model_version == 2
    assert [score.label for score in first.top] == ["shade-0"]


def test_classify_an_array_through_serving_default(client):
    predictions = client.predict(shades(12), model="mnist")
    assert [prediction.label for prediction in predictions] == [
        f"shade-{n % 10}" for n in range(12)
    ]


def test_top_classes_have_labels(client):
    (prediction,) = client.predict(shades(1), model="mnist", top=3, version=1)
    assert prediction.model_version == 1
    assert prediction.top[0].label == prediction.label == "shade-0"
    assert len(prediction.top) == 3
    assert all(score.label == f"shade-{score.class_id}" for score in prediction.top)
    assert len(client.predict(shades(1), model="mnist", top=99)[0].top) == 10


def test_labels(client):
    assert client.labels("mnist") == tuple(f"shade-{n}" for n in range(10))
    with pytest.raises(ClientError, match="does not name its classes"):
        client.labels("odd")


def test_splitting_keeps_order(server, client):
    server.servicer.batches.clear()
    predictions = client.predict(shades(150), model="mnist", batch_size=32)
    assert [prediction.class_id for prediction in predictions] == [
        n % 10 for n in range(150)
    ]
    assert sorted(server.servicer.batches["mnist"]) == [22, 32, 32, 32, 32]


def test_large_images_are_sent_in_smaller_requests(server, client):
    server.servicer.batches.clear()
    images = np.repeat(np.repeat(shades(5), 250, axis=1), 1000, axis=2)  # 4 MB each
    predictions = client.predict(images, model="mnist")
    assert [prediction.class_id for prediction in predictions] == [0, 1, 2, 3, 4]
    assert server.servicer.batches["mnist"] == [1] * 5


def test_no_images_return_an_empty_list(client):
    assert client.predict([], model="mnist") == []
    assert client.predict(shades(0), model="mnist") == []


def test_metadata(client):
    metadata = client.metadata("mnist")
    assert (metadata.name, metadata.version) == ("mnist", 2)
    assert metadata.signatures["serving_default"] == Signature(
        inputs={"images": TensorSpec("images:0", "uint8", (None, 4, 4, 1))},
        outputs=dict.fromkeys(
            ("class_id", "label", "probabilities"), TensorSpec("", "string", None)
        ),
        method_name="tensorflow/serving/predict",
    )
    assert "__saved_model_init_op" in metadata.signatures
    assert client.metadata("mnist", label="stable").version == 1


def test_status(client):
    assert client.status("mnist") == [
        VersionStatus(2, "AVAILABLE", "OK", ""),
        VersionStatus(1, "END", "NOT_FOUND", "no variables"),
    ]
    assert [each.version for each in client.status("mnist", version=1)] == [1]


def test_wrong_model_version_and_label(client, server):
    def error(**target):
        with pytest.raises(ModelNotFound) as caught:
            client.predict({"images": shades(1)}, **{"model": "mnist", **target})
        return caught.value

    unknown = error(model="mnsit")
    assert unknown.code == "NOT_FOUND"
    assert unknown.details == "Servable not found for request: Latest(mnsit)"
    assert str(unknown) == (
        f"The server at {server.target} has no model 'mnsit' that is ready "
        "(Servable not found for request: Latest(mnsit))."
    )
    assert "no model 'mnist' version 7 that is ready" in str(error(version=7))
    assert str(error(version=7)).endswith("Versions that are ready: 2.")
    assert str(error(label="beta")).endswith("Versions that are ready: 2.")
    assert "has no version labelled 'beta' for model 'mnist'" in str(
        error(label="beta")
    )


def test_wrong_signature_and_inputs(client):
    with pytest.raises(InvalidRequest, match="does not have this signature") as caught:
        client.predict({"a": [1]}, model="mnist", signature="a")
    assert caught.value.code == "FAILED_PRECONDITION"
    assert str(caught.value).endswith(
        "Its signatures: '__saved_model_init_op', 'classify', 'encoded', "
        "'serving_default'. Received: 'a'."
    )
    with pytest.raises(InvalidRequest, match=r"'plain' .* does not have this"):
        client.predict([shades(1)[0]], model="plain")
    with pytest.raises(ClientError, match="does not respond as a classifier") as caught:
        client.predict([shades(1)[0]], model="odd")
    assert "N=1 rows. Received: output_0" in str(caught.value)


def test_a_rejection_is_explained_by_the_model_s_metadata(client):
    with pytest.raises(InvalidRequest) as caught:
        client.predict({"images": np.zeros((1, 4, 4, 1), np.float32)}, model="mnist")
    assert caught.value.code == "INVALID_ARGUMENT"
    assert "uint8 but float is provided" in str(caught.value)
    assert str(caught.value).endswith(
        "Input 'images' of its signature 'serving_default' is uint8 [?, 4, 4, 1]. "
        "Received: float32 [1, 4, 4, 1]."
    )


def test_invalid_images_and_options(client):
    with pytest.raises(BadImage, match="Received: dtype=float64"):
        client.predict(np.zeros((1, 2, 2, 1)), model="mnist")
    with pytest.raises(ValueError, match="Received: top=0"):
        client.predict([], model="mnist", top=0)
    with pytest.raises(ValueError, match="batch_size=0"):
        client.predict([], model="mnist", batch_size=0)
    with pytest.raises(ValueError, match=r"Received: output_filter=\['label'\]"):
        client.predict([], model="mnist", output_filter=["label"])


def test_deadline(server):
    start = time.monotonic()
    with (
        Client(server.target, timeout=0.2) as client,
        pytest.raises(
            DeadlineExceeded, match=r"did not respond within 0\.2 s"
        ) as caught,
    ):
        client.predict({"images": shades(1)}, model="slow")
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert time.monotonic() - start < PATIENCE


def test_a_call_to_a_busy_server_is_retried(server, client):
    """Even with a request above the 256 KiB that gRPC retries by default."""
    server.servicer.calls.clear()
    images = np.zeros((1, 1000, 1000, 1), np.uint8)
    (prediction,) = client.predict(images, model="busy")
    assert prediction.class_id == 0
    assert server.servicer.calls["busy"] == 3


def failure(target, **options):
    start = time.monotonic()
    with Client(target, **options) as client, pytest.raises(ClientError) as caught:
        client.status("mnist")
    return caught.value, time.monotonic() - start


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_no_server_listens():
    target = f"127.0.0.1:{free_port()}"
    error, seconds = failure(target)
    assert isinstance(error, ServerUnavailable)
    assert error.code == "UNAVAILABLE"
    assert str(error) == (
        f"No server responds at {target} (Connection refused); start one with "
        "`fovea serve`, or check the address."
    )
    assert seconds < PATIENCE


def test_a_server_that_accepts_and_never_responds():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error, seconds = failure(f"127.0.0.1:{silent.getsockname()[1]}")
    assert isinstance(error, ServerUnavailable)
    assert "does not speak gRPC" in str(error)
    assert seconds < PATIENCE


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_the_rest_port_is_recognised():
    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as rest:
        thread = threading.Thread(target=rest.serve_forever)
        thread.start()
        error, _ = failure(f"127.0.0.1:{rest.server_port}")
        rest.shutdown()
        thread.join()
    assert "is it the REST port?" in str(error)


def test_an_unknown_host():
    error, seconds = failure("no-such-host.invalid:8500")
    assert "host name in no-such-host.invalid:8500 cannot be resolved" in str(error)
    assert seconds < PATIENCE


def test_another_grpc_service():
    from concurrent.futures import ThreadPoolExecutor

    import grpc
    from grpc_health.v1 import health_pb2_grpc
    from grpc_health.v1.health import HealthServicer

    other = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), other)
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    error, _ = failure(f"127.0.0.1:{port}")
    other.stop(None).wait()
    assert error.code == "UNIMPLEMENTED"
    assert "is not a TensorFlow Serving gRPC server" in str(error)


def test_waiting_for_a_server_ends_at_the_deadline():
    error, seconds = failure(
        f"127.0.0.1:{free_port()}", timeout=1.5, wait_for_ready=True
    )
    assert isinstance(error, DeadlineExceeded)
    assert 1.4 < seconds < PATIENCE


def test_no_proxy_is_used_for_this_machine(server):
    code = (
        "from fovea import Client\n"
        f"with Client({server.target!r}) as client: client.status('mnist')"
    )
    proxied = {**os.environ, "http_proxy": f"http://127.0.0.1:{free_port()}"}
    subprocess.run([sys.executable, "-c", code], env=proxied, check=True)


@pytest.mark.parametrize(
    "target", ["", "127.0.0.1", "host:0", "host:99999", "http://host:8500", "a b:1"]
)
def test_invalid_addresses(target):
    with pytest.raises(ValueError, match="HOST:PORT, such as"):
        Client(target)


def test_unix_sockets_and_ipv6_are_addresses():
    for target in ("unix:/tmp/fovea.sock", "[::1]:8500", "dns:///host:8500"):
        Client(target).close()


def test_timeout_must_be_positive():
    with pytest.raises(ValueError, match="Received: timeout=0"):
        Client("127.0.0.1:8500", timeout=0)
