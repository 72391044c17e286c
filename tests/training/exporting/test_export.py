"""The export contract: the contents of a version directory, and its name."""

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from fovea.training.datasets import image_ops
from fovea.training.exporting import export as exports
from fovea.training.exporting import signatures
from fovea.training.runs.load import load_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tensorflow_serving.apis import prediction_log_pb2

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported))


def _png(image):
    data = io.BytesIO()
    Image.fromarray(image.squeeze()).save(data, "PNG")
    return data.getvalue()


def test_signatures_have_the_contract_s_names_dtypes_and_shapes(loaded):
    def described(specs):
        return {name: (s.dtype.name, s.shape.as_list()) for name, s in specs.items()}

    inputs = {
        name: described(function.structured_input_signature[1])
        for name, function in loaded.signatures.items()
    }
    outputs = {
        name: described(function.structured_outputs)
        for name, function in loaded.signatures.items()
    }
    prediction = {
        "probabilities": ("float32", [None, 10]),
        "label": ("string", [None]),
        "class_id": ("int64", [None]),
    }
    assert inputs == {
        "serving_default": {"images": ("uint8", [None, 28, 28, 1])},
        "encoded": {"image_bytes": ("string", [None])},
        "classify": {"inputs": ("string", [None])},
    }
    assert outputs == {
        "serving_default": prediction,
        "encoded": prediction,
        "classify": {
            "classes": ("string", [None, 10]),
            "scores": ("float32", [None, 10]),
        },
    }


def test_classify_has_the_method_name_of_classify(exported):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString(
        (exported / "saved_model.pb").read_bytes()
    )
    (graph,) = saved.meta_graphs
    methods = {name: s.method_name for name, s in graph.signature_def.items()}
    assert methods["classify"] == "tensorflow/serving/classify"
    assert methods["serving_default"] == "tensorflow/serving/predict"
    assert methods["encoded"] == "tensorflow/serving/predict"


def test_the_three_signatures_give_the_same_probabilities(
    loaded, run_directory, digits
):
    images = digits.x_test[:8]
    logits = load_model(run_directory).predict(images, verbose=0)
    expected = tf.nn.softmax(logits).numpy()
    encoded = [_png(image) for image in images]
    raw = loaded.signatures["serving_default"](images=tf.constant(images))
    files = loaded.signatures["encoded"](image_bytes=tf.constant(encoded))
    classified = loaded.signatures["classify"](
        inputs=tf.constant([signatures.example_of(data) for data in encoded])
    )
    for probabilities in (
        raw["probabilities"],
        files["probabilities"],
        classified["scores"],
    ):
        np.testing.assert_allclose(probabilities.numpy(), expected, atol=1e-6)
    assert raw["class_id"].numpy().tolist() == expected.argmax(axis=1).tolist()
    assert [label.decode() for label in raw["label"].numpy()] == [
        str(digit) for digit in expected.argmax(axis=1)
    ]
    assert classified["classes"].numpy()[3].tolist() == [
        str(digit).encode() for digit in range(10)
    ]


def test_labels_card_and_warm_up_are_exported_with_the_model(exported):
    labels = (exported / "assets" / "labels.txt").read_text().splitlines()
    assert labels == list("0123456789")
    card = (exported / "assets.extra" / "model_card.md").read_text()
    assert card.startswith("---\npipeline_tag: image-classification\n")
    assert "lenet5 trained on mnist_sample" in card
    path = str(exported / "assets.extra" / "tf_serving_warmup_requests")
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(path)
    ]
    signatures_called = [
        log.predict_log.request.model_spec.signature_name
        or log.classify_log.request.model_spec.signature_name
        for log in logs
    ]
    assert signatures_called == [
        "serving_default",
        "serving_default",
        "encoded",
        "classify",
    ]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "1"])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_modes_decode_as_pillow_converts_them(mode, channels):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (21, 17, 4), np.uint8)
    image = Image.fromarray(noise).convert(mode)
    data = io.BytesIO()
    image.save(data, "PNG")
    if image.mode.endswith("A"):
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    wanted = np.asarray(image.convert("RGB").convert("L" if channels == 1 else "RGB"))
    decoded = image_ops.decode_image(data.getvalue(), (21, 17, channels)).numpy()
    assert np.array_equal(decoded, wanted.reshape(21, 17, channels))


def test_another_size_is_resampled_as_pillow_does():
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (90, 57, 3), np.uint8))
    data = io.BytesIO()
    image.save(data, "PNG")
    decoded = image_ops.decode_image(data.getvalue(), (28, 28, 3)).numpy()
    wanted = np.asarray(image.resize((28, 28), Image.Resampling.BILINEAR))
    assert np.abs(decoded.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("suffix", ["JPEG", "GIF", "BMP"])
def test_the_other_formats_decode(suffix):
    image = Image.new("RGB", (40, 30), (200, 100, 50))
    data = io.BytesIO()
    image.save(data, suffix)
    decoded = image_ops.decode_image(data.getvalue(), (8, 8, 3)).numpy()
    assert np.abs(decoded.astype(int) - [200, 100, 50]).max() <= 2


def test_a_new_version_has_the_next_number(run_directory, tmp_path):
    repository = tmp_path / "new" / "digits"
    assert exports.export(run_directory, repository) == repository / "1"
    (repository / "41").mkdir()
    (repository / "notes").mkdir()
    assert exports.export(run_directory, repository) == repository / "42"
    assert sorted(p.name for p in repository.iterdir()) == ["1", "41", "42", "notes"]
    assert (repository / "42").stat().st_mode & 0o777 == 0o755


def test_a_target_that_cannot_be_written_raises(run_directory, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        exports.export(run_directory, tmp_path / "file" / "digits")
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the file size")
def test_a_full_disk_leaves_no_version(run_directory, tmp_path):
    """A limit of 100 kB on the size of files has the effect of a full disk."""
    script = (
        "import resource, signal, sys\nfrom fovea import cli\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    repository = tmp_path / "exported" / "digits"
    done = subprocess.run(
        [
            *(sys.executable, "-c", script, "export", str(run_directory)),
            *("--to", str(repository)),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("fovea: error: The version could not be written to ")
    assert done.stderr.count("\n") == 1
    assert not repository.exists()
