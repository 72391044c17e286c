"""A file has the same pixels in Pillow and NumPy, in TensorFlow and in a graph."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from fovea import encode_image
from fovea.serving.protocol import pixels
from fovea.training.datasets import image_files, image_ops
from fovea.training.exporting import signatures
from tests.training.datasets import image_corpus
from tests.training.datasets.image_corpus import KINDS, OTHER, REJECTED, SAME, SENT

GREY, COLOUR = (28, 28, 1), (12, 10, 3)
DEPTH = 0.02  # a logit for each level of a pixel


@pytest.fixture(scope="module", params=[GREY, COLOUR], ids=["grey", "colour"])
def seen_by_graph(request, tmp_path_factory):
    """The pixels that the model receives in an exported graph's `encoded`.

    A class stands for each pixel, its logit for the pixel's value, beside one class
    whose logit is 0, so that the probabilities determine the pixels.
    """
    shape = request.param
    images = keras.Input(shape, dtype="uint8")
    logits = keras.layers.Rescaling(DEPTH)(keras.layers.Flatten()(images))
    logits = keras.layers.ZeroPadding1D((1, 0))(logits[..., None])[..., 0]
    model = keras.Model(images, logits)
    names = [str(number) for number in range(np.prod(shape) + 1)]
    module, functions = signatures.servable(model, names)
    directory = str(tmp_path_factory.mktemp("pixels"))
    tf.saved_model.save(module, directory, signatures=functions)
    loaded = tf.saved_model.load(directory)
    encoded = loaded.signatures["encoded"]

    def see(files):
        found = encoded(image_bytes=tf.constant(files))["probabilities"].numpy()
        values = np.log(found[:, 1:] / found[:, :1]) / DEPTH
        assert np.abs(values - np.rint(values)).max() < 0.1
        return np.rint(values).astype(np.uint8).reshape(-1, *shape)

    see.shape = shape
    see.keep = loaded
    return see


def graph_pixels(data: bytes, height: int, width: int, channels: int):
    """Return the graph's pixels of a file, in the file's own size."""
    image = image_ops.decode(tf.constant(data))
    return image_ops.fit_image(image, (height, width, channels)).numpy()


def comparison(data: bytes, expected: np.ndarray) -> str:
    """Compare the graph's pixels of a file with those expected."""
    try:
        seen = graph_pixels(data, *expected.shape)
    except tf.errors.InvalidArgumentError:
        return REJECTED
    return SAME if np.array_equal(seen, expected) else OTHER


@pytest.mark.parametrize("name", KINDS)
def test_a_file_has_the_same_pixels_in_numpy_and_in_tensorflow(name, tmp_path):
    kind = KINDS[name]
    unchanged = set()
    for picture, data in image_corpus.files(kind):
        sent = encode_image(data)
        assert encode_image(data, check=False) == sent
        assert (sent == data) == (kind.client == SENT), picture
        expected = pixels.decode(data)
        assert expected.dtype == np.uint8 and expected.shape[2] in (1, 3)
        assert np.array_equal(pixels.decode(sent), expected), picture
        # Decoding alone: what is sent has no alpha, and is grey if the file is.
        decoded = image_ops.decode(tf.constant(sent)).numpy()
        assert np.array_equal(decoded, expected), picture
        unchanged.add(comparison(data, expected))
        path = tmp_path / "file"
        path.write_bytes(data)
        for shape in (GREY, COLOUR):
            fitted = pixels.fit(expected, shape)
            assert np.array_equal(image_files.read(path, shape), fitted), picture
            assert np.array_equal(image_ops.decoder(shape)(sent), fitted), picture
    # The pixels of a file sent unchanged by another client.
    if kind.graph == SAME:
        assert unchanged == {SAME}
    else:
        assert kind.graph in unchanged


@pytest.mark.parametrize(
    "path",
    [*image_corpus.photographs(), *image_corpus.drawings()],
    ids=lambda p: p.name,
)
def test_files_of_other_packages_have_the_same_pixels(path):
    data = path.read_bytes()
    sent = encode_image(path)
    assert sent == data or path.suffix != ".jpg"
    expected = pixels.decode(data)
    assert np.array_equal(pixels.decode(sent), expected)
    assert np.array_equal(image_ops.decode(tf.constant(sent)).numpy(), expected)
    assert comparison(data, expected) == SAME
    for shape in (GREY, COLOUR):
        fitted = pixels.fit(expected, shape)
        assert np.array_equal(image_files.read(path, shape), fitted)


@pytest.mark.slow
def test_the_exported_graph_decodes_the_same_pixels(seen_by_graph):
    files, expected = [], []
    for kind in KINDS.values():
        for _, data in image_corpus.files(kind):
            sent = encode_image(data, check=False)
            files.append(sent)
            expected.append(pixels.fit(pixels.decode(data), seen_by_graph.shape))
    for path in (*image_corpus.photographs(), *image_corpus.drawings()):
        files.append(encode_image(path))
        expected.append(pixels.fit(pixels.decode(files[-1]), seen_by_graph.shape))
    assert len(set(files)) >= 350
    assert np.array_equal(seen_by_graph(files), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", [1, 3])
def test_resampling_agrees_at_any_size(depth, channels):
    rng = np.random.default_rng(0)
    values = differing = largest = 0
    for _ in range(60):
        height, width, *size = rng.integers(1, 160, 4)
        image = rng.integers(0, 256, (height, width, depth), np.uint8)
        shape = (*map(int, size), channels)
        by_numpy = pixels.fit(image, shape)
        by_tensorflow = image_ops.fit_image(tf.constant(image), shape).numpy()
        assert by_numpy.shape == by_tensorflow.shape == shape
        apart = np.abs(by_numpy.astype(int) - by_tensorflow)
        values += apart.size
        differing += np.count_nonzero(apart)
        largest = max(largest, apart.max())
    # None on x86-64; where multiply and add are fused, a half may round elsewhere.
    assert largest <= 1 and differing <= 1e-4 * values


def test_images_in_memory_are_fitted_equally():
    image = pixels.decode(image_corpus.photographs()[0].read_bytes())
    for shape in (GREY, COLOUR):
        (fitted,) = image_ops.fit_images(image[np.newaxis], shape)
        assert np.array_equal(fitted, pixels.fit(image, shape))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_unknown_range_are_rejected(mode, tmp_path):
    path = tmp_path / "file.tif"
    image_corpus.pictures()["3x5"].convert("L").convert(mode).save(path)
    for read in (
        lambda: pixels.decode(path.read_bytes()),
        lambda: image_files.header(path),
    ):
        with pytest.raises(ValueError, match="pixels of 32 bits"):
            read()


def test_importing_pixels_loads_neither_pillow_nor_numpy():
    code = "import sys, fovea.serving.protocol.pixels; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"PIL", "numpy", "tensorflow", "grpc", "google.protobuf"} & set(loaded)
