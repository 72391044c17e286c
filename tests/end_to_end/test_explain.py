"""`explain`: a served model says what in an image speaks for its answer."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import models
from serving.client import Client, InvalidRequest
from serving.client.explain_images import explain_images
from training import run as runs
from training.export import export, publish, write_version
from training.inspect.grad_cam import grad_cam

ROOT = Path(__file__).parents[2]
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def nets(run_directory):
    """One trained; one as it begins, with other layers; and one without maps."""
    made = {
        "speednet": models.build("speednet", (32, 32, 3), 4),
        "mlp": models.build("mlp", (28, 28, 1), 4),
    }
    return {"digits": runs.load_model(run_directory), **made}


@pytest.fixture(scope="module")
def repository(nets, run_directory, exported, tmp_path_factory):
    directory = tmp_path_factory.mktemp("explain")
    export(run_directory, directory / "digits", with_explain=True)
    for name in ("speednet", "mlp"):
        publish(
            directory / name,
            lambda version, name=name: write_version(
                version, name, nets[name], NAMES, with_explain=True
            ),
        )
    (directory / "plain").symlink_to(exported.parent)
    return directory


@pytest.fixture(scope="module")
def address(repository):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = (*sorted(path.name for path in repository.iterdir()),)
    config = repository.parent / "explain.config"
    config.write_text(
        "model_config_list {"
        + "".join(
            f'config {{ name: "{name}" base_path: "{repository / name}" '
            'model_platform: "tensorflow" }'
            for name in served
        )
        + "}"
    )
    command = [sys.executable, "-m", "serving.server", f"--port={port}"]
    command += [f"--model_config_file={config}"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        # The server answers when every model has replayed its warm-up requests.
        with Client(f"127.0.0.1:{port}", timeout=60, wait_for_ready=True) as client:
            client.metadata("digits")
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def client(address):
    with Client(address, timeout=30) as client:
        yield client


def _images(model, digits):
    shape = model.input_shape[1:]
    if shape == (28, 28, 1):
        return digits.x_test[:5]
    return np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)


@pytest.mark.parametrize("name", ["digits", "speednet", "mlp"])
def test_served_maps_are_those_computed_here(client, nets, digits, name):
    images = _images(nets[name], digits)
    answer = client.predict({"images": images}, model=name, signature="explain")
    expected = tf.nn.softmax(nets[name](images, training=False)).numpy()
    outputs = answer.outputs
    assert outputs["heatmap"].dtype == np.float32
    assert outputs["heatmap"].max() == 1
    np.testing.assert_allclose(
        outputs["heatmap"], grad_cam(nets[name], images), atol=1e-5
    )
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)
    assert outputs["class_id"].tolist() == expected.argmax(axis=1).tolist()
    plain = client.predict({"images": images}, model=name).outputs
    assert outputs["label"].tolist() == plain["label"].tolist()


def test_any_class_can_be_asked_about(client, nets, digits):
    images = digits.x_test[:4]
    class_id = np.array([7, 1, 0, 9])
    asked = {"images": images, "class_id": class_id}
    outputs = client.predict(asked, model="digits", signature="explain_class").outputs
    assert outputs["class_id"].tolist() == [7, 1, 0, 9]
    assert outputs["label"].tolist() == [b"7", b"1", b"0", b"9"]
    expected = grad_cam(nets["digits"], images, class_id)
    np.testing.assert_allclose(outputs["heatmap"], expected, atol=1e-5)
    for beyond in (10, -1):
        asked["class_id"] = np.full(4, beyond)
        with pytest.raises(InvalidRequest, match=str(beyond)):
            client.predict(asked, model="digits", signature="explain_class")


def test_files_of_any_size_are_explained_as_their_pixels_are(client, digits, tmp_path):
    files = []
    for index in range(3):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(digits.x_test[index, ..., 0]).save(files[-1])
    large = Image.fromarray(digits.x_test[0, ..., 0]).resize((90, 60))
    found = explain_images(client, [*files, large.convert("RGB")], model="digits")
    pixels = explain_images(client, digits.x_test[:3], model="digits")
    for file, pixel in zip(found, pixels, strict=False):
        assert (file.label, file.class_id) == (pixel.label, pixel.class_id)
        assert file.probability == pytest.approx(pixel.probability, abs=1e-6)
        np.testing.assert_allclose(file.heatmap, pixel.heatmap, atol=1e-5)
    assert found[3].label == found[0].label
    assert found[3].heatmap.shape == (28, 28)
    assert found[3].model_version == 1


def test_more_images_than_travel_at_once_come_back_in_order(client, nets, digits):
    found = explain_images(client, digits.x_test[:37], model="digits")
    expected = grad_cam(nets["digits"], digits.x_test[:37])
    np.testing.assert_allclose([e.heatmap for e in found], expected, atol=1e-5)
    assert explain_images(client, [], model="digits") == []


@pytest.mark.parametrize("as_files", [False, True])
def test_a_model_without_explanations_says_how_to_get_them(client, digits, as_files):
    images = digits.x_test[:1]
    with pytest.raises(InvalidRequest) as caught:
        explain_images(client, list(images) if as_files else images, model="plain")
    assert str(caught.value) == (
        "Model 'plain' was exported without explanations: it has no signature "
        f"'explain{'_encoded' if as_files else ''}'. Export it again with `fovea "
        "export RUN --to DIR --with-explain`."
    )
