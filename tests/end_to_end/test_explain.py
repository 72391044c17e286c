"""`explain`: a served model returns the evidence in an image for its prediction."""

import argparse
import signal
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from fovea import Client, InvalidRequest, models
from fovea.serving.client.heatmaps.explain_images import explain_images
from fovea.training.attribution import explainers
from fovea.training.commands.export import add_arguments
from fovea.training.exporting.export import export, publish, write_version
from fovea.training.runs.load import load_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tensorflow_serving.apis import prediction_log_pb2

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def nets(run_directory):
    """Explained by integrated gradients, by Grad-CAM, and without convolutions."""
    keras.utils.set_random_seed(0)
    made = {
        "speednet": models.build("speednet", (32, 32, 3), 4),
        "mlp": models.build("mlp", (28, 28, 1), 4),
    }
    return {"digits": load_model(run_directory), **made}


@pytest.fixture(scope="module")
def repository(nets, run_directory, exported, tmp_path_factory):
    directory = tmp_path_factory.mktemp("explain")
    export(run_directory, directory / "digits", with_explain="auto")
    for name in ("speednet", "mlp"):
        publish(
            directory / name,
            lambda version, name=name: write_version(
                version, name, nets[name], NAMES, with_explain="auto"
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
    command = [sys.executable, "-m", "fovea.serving.server", f"--port={port}"]
    command += [f"--model_config_file={config}"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        # The server responds when every model has replayed its warm-up requests.
        with Client(f"127.0.0.1:{port}", timeout=60, wait_for_ready=True) as client:
            client.metadata("digits")
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=90) == 0


@pytest.fixture(scope="module")
def client(address):
    with Client(address, timeout=120) as client:
        yield client


def test_the_explain_signatures_follow_the_contract(repository):
    """Names, dtypes and shapes; ordinary operations; warm-up; the model card."""
    version = repository / "digits" / "1"
    saved = saved_model_pb2.SavedModel.FromString(
        (version / "saved_model.pb").read_bytes()
    )
    (graph,) = saved.meta_graphs
    found = {
        name: (_described(signature.inputs), _described(signature.outputs))
        for name, signature in graph.signature_def.items()
        if name.startswith("explain")
    }
    images, files = (
        ("images", "uint8", [-1, 28, 28, 1]),
        ("image_bytes", "string", [-1]),
    )
    outputs = [
        ("class_id", "int64", [-1]),
        ("heatmap", "float32", [-1, 28, 28]),
        ("label", "string", [-1]),
        ("probabilities", "float32", [-1, 10]),
    ]
    assert found == {
        "explain": ([images], outputs),
        "explain_class": ([("class_id", "int64", [-1]), images], outputs),
        "explain_encoded": ([files], outputs),
    }
    operations = {
        node.op
        for function in graph.graph_def.library.function
        for node in function.node_def
    }
    assert "Conv2DBackpropInput" in operations
    assert {"While", "StatelessWhile"} & operations
    assert not any("PyFunc" in name for name in operations)
    signatures = [
        prediction_log_pb2.PredictionLog.FromString(
            record.numpy()
        ).predict_log.request.model_spec.signature_name
        for record in tf.data.TFRecordDataset(
            str(version / "assets.extra" / "tf_serving_warmup_requests")
        )
    ]
    assert {"explain", "explain_class", "explain_encoded"} < set(signatures)
    card = (version / "assets.extra" / "model_card.md").read_text()
    assert "class: integrated gradients from a black image, 32 steps." in card


def _described(tensors):
    return [
        (
            name,
            tf.dtypes.as_dtype(tensor.dtype).name,
            [dim.size for dim in tensor.tensor_shape.dim],
        )
        for name, tensor in sorted(tensors.items())
    ]


def test_an_unknown_method_is_rejected_before_anything_is_written(
    run_directory, tmp_path
):
    with pytest.raises(ValueError, match=r"auto, grad_cam, .* Received: saliency"):
        export(run_directory, tmp_path / "new", with_explain="saliency")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "method"),
    [
        ([], None),
        (["--with-explain"], "auto"),
        (["--with-explain", "grad_cam"], "grad_cam"),
    ],
)
def test_the_flag_may_name_the_method(words, method):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["RUN", "--to", "DIR", *words])
    assert args.with_explain == method


def _heat(model, images, class_id=None):
    explain, _ = explainers.explainer(model)
    return explain(tf.constant(images), class_id)[2].numpy()


def _images(model, digits):
    shape = model.input_shape[1:]
    if shape == (28, 28, 1):
        return digits.x_test[:5]
    return np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)


@pytest.mark.parametrize("name", ["digits", "speednet", "mlp"])
def test_served_maps_equal_those_computed_locally(client, nets, digits, name):
    images = _images(nets[name], digits)
    response = client.predict({"images": images}, model=name, signature="explain")
    expected = tf.nn.softmax(nets[name](images, training=False)).numpy()
    outputs = response.outputs
    assert outputs["heatmap"].dtype == np.float32
    assert outputs["heatmap"].max() == 1
    np.testing.assert_allclose(outputs["heatmap"], _heat(nets[name], images), atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)
    assert outputs["class_id"].tolist() == expected.argmax(axis=1).tolist()
    plain = client.predict({"images": images}, model=name).outputs
    assert outputs["label"].tolist() == plain["label"].tolist()


def test_any_class_can_be_explained(client, nets, digits):
    images = digits.x_test[:4]
    class_id = np.array([7, 1, 0, 9])
    inputs = {"images": images, "class_id": class_id}
    outputs = client.predict(inputs, model="digits", signature="explain_class").outputs
    assert outputs["class_id"].tolist() == [7, 1, 0, 9]
    assert outputs["label"].tolist() == [b"7", b"1", b"0", b"9"]
    expected = _heat(nets["digits"], images, class_id)
    np.testing.assert_allclose(outputs["heatmap"], expected, atol=1e-5)
    for beyond in (10, -1):
        inputs["class_id"] = np.full(4, beyond)
        with pytest.raises(InvalidRequest, match=str(beyond)):
            client.predict(inputs, model="digits", signature="explain_class")


def test_files_of_any_size_and_their_pixels_have_the_same_maps(
    client, digits, tmp_path
):
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


def test_several_batches_of_images_keep_their_order(client, nets, digits):
    found = explain_images(client, digits.x_test[:37], model="digits")
    expected = _heat(nets["digits"], digits.x_test[:37])
    np.testing.assert_allclose([e.heatmap for e in found], expected, atol=1e-5)
    assert explain_images(client, [], model="digits") == []


def test_large_files_are_sent_in_separate_requests(client, tmp_path):
    """Noise of 600 kB each: five do not fit in one request of 2 MiB."""
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{index}.png" for index in range(5)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (450, 450, 3), np.uint8)).save(file)
        assert file.stat().st_size > 600_000
    together = explain_images(client, files, model="digits")
    for file, found in zip(files, together, strict=True):
        (alone,) = explain_images(client, [file], model="digits")
        np.testing.assert_allclose(found.heatmap, alone.heatmap, atol=1e-5)


@pytest.mark.parametrize("as_files", [False, True])
def test_the_error_for_a_model_without_explanations_names_the_option(
    client, digits, as_files
):
    images = digits.x_test[:1]
    with pytest.raises(InvalidRequest) as caught:
        explain_images(client, list(images) if as_files else images, model="plain")
    assert str(caught.value) == (
        "Model 'plain' was exported without explanations: it has no signature "
        f"'explain{'_encoded' if as_files else ''}'. Export it again with `fovea "
        "export RUN --to DIR --with-explain`."
    )


def _predict(address, *words):
    command = [sys.executable, "-m", "fovea", "predict", *map(str, words)]
    return subprocess.run(
        [*command, "--server", address], capture_output=True, text=True, cwd=ROOT
    )


def test_the_command_draws_every_predicted_image_in_one_picture(
    address, digits, tmp_path
):
    for index in range(3):
        Image.fromarray(digits.x_test[index, ..., 0]).save(tmp_path / f"{index}.png")
    (tmp_path / "3.png").write_text("no image")
    out = tmp_path / "why" / "why.png"
    words = (tmp_path, "--model", "digits", "--explain", out)
    missing = _predict(address, *words)
    assert missing.returncode == 1
    assert f"--explain {out}" in missing.stderr
    assert missing.stdout == ""
    out.parent.mkdir()
    done = _predict(address, *words)
    assert done.returncode == 1  # one of the four files is not an image
    assert done.stderr.count("\n") == 1 and "3.png" in done.stderr
    assert done.stdout.count("\n") == 3
    assert [path.name for path in out.parent.iterdir()] == ["why.png"]
    with Image.open(out) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    # Heat has colour; digits, paper and captions have none.
    coloured = np.ptp(pixels, axis=2) > 40
    assert coloured.any()
    assert not coloured[:, : pixels.shape[1] // 4].any()  # the first image itself

    plain = _predict(address, tmp_path / "0.png", "--model", "plain", "--explain", out)
    assert plain.returncode == 1
    assert plain.stderr.startswith("fovea: error: Model 'plain' was exported without")
    assert plain.stderr.count("\n") == 1
