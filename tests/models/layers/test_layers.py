"""Custom layers: against NumPy, under XLA, in half precision, saved and loaded."""

import keras
import numpy as np
import pytest

from fovea.models.layers.bias import Bias
from fovea.models.layers.dirac import Dirac
from fovea.models.layers.identity_shortcut import IdentityShortcut
from fovea.models.layers.local_response_normalization import LocalResponseNormalization
from fovea.models.layers.locally_connected_2d import LocallyConnected2D
from fovea.models.layers.spatial_transformer import SpatialTransformer


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def theta(count):
    """Return affine transformations that turn, stretch, shear and shift."""
    identity = np.array([1, 0, 0, 0, 1, 0], "float32")
    return identity + 0.3 * draw(count, 6)


# name -> (layer, its input or inputs)
LAYERS = {
    "local_response": (lambda **kw: LocalResponseNormalization(**kw), [(4, 5, 6, 7)]),
    "locally_connected": (
        lambda **kw: LocallyConnected2D(3, 3, padding="same", strides=2, **kw),
        [(4, 7, 6, 2)],
    ),
    "spatial_transformer": (lambda **kw: SpatialTransformer(**kw), [(4, 7, 6, 2), 6]),
    "identity_shortcut": (
        lambda **kw: IdentityShortcut(5, strides=2, **kw),
        [(4, 7, 6, 2)],
    ),
    "bias": (lambda **kw: Bias(**kw), [(4, 9)]),
}


@pytest.fixture(params=sorted(LAYERS))
def case(request):
    """Return a layer's constructor and its inputs."""
    make, shapes = LAYERS[request.param]
    inputs = [theta(4) if shape == 6 else draw(*shape) for shape in shapes]
    return make, inputs


def model_of(make, inputs, **options):
    """Return a model of just this layer, for any batch size."""
    ends = [keras.Input(each.shape[1:], dtype="float32") for each in inputs]
    layer = make(name="it", **options)
    return keras.Model(alone(ends), layer(alone(ends)))


def behind_weights(make, inputs):
    """Return a model in which gradients must pass through the layer."""
    ends = [keras.Input(each.shape[1:], dtype="float32") for each in inputs]
    mixed = [
        keras.layers.Dense(e.shape[-1], kernel_initializer="identity")(e) for e in ends
    ]
    return keras.Model(alone(ends), make()(alone(mixed)))


def alone(inputs):
    """Return the only element of a list, or the list."""
    return inputs if len(inputs) > 1 else inputs[0]


def call(model, inputs):
    return np.asarray(model(alone(inputs)), "float32")


def test_is_restored_after_saving(case, tmp_path):
    make, inputs = case
    model = model_of(make, inputs)
    model.save(tmp_path / "it.keras")
    loaded = keras.saving.load_model(tmp_path / "it.keras")
    assert loaded.get_layer("it").get_config() == model.get_layer("it").get_config()
    np.testing.assert_array_equal(call(loaded, inputs), call(model, inputs))


@pytest.mark.slow
def test_trains_the_same_under_xla(case):
    make, inputs = case
    model = behind_weights(make, inputs)
    target = np.zeros_like(call(model, inputs))
    start = model.get_weights()
    after = []
    for jit in (False, True):
        model.set_weights(start)
        model.compile("sgd", "mse", jit_compile=jit)
        loss = model.train_on_batch(alone(inputs), target)
        after.append([loss, *model.get_weights()])
        assert all((a != b).any() for a, b in zip(start, after[-1][1:], strict=True))
    for without, with_xla in zip(*after, strict=True):
        np.testing.assert_allclose(with_xla, without, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_near_float32(case, dtype):
    make, inputs = case
    model = model_of(make, inputs)
    half = model_of(make, inputs, dtype=dtype)
    half.set_weights(model.get_weights())
    assert half.output.dtype == dtype.removeprefix("mixed_")
    assert all(weight.dtype == "float32" for weight in half.weights)
    np.testing.assert_allclose(
        call(half, inputs), call(model, inputs), atol=0.06, rtol=0.02
    )


def test_output_shape_is_known_and_the_batch_size_is_not_fixed(case):
    make, inputs = case
    model = model_of(make, inputs)
    shapes = [each.shape for each in inputs]
    layer = make()
    expected = layer.compute_output_shape(alone(shapes))
    assert call(model, inputs).shape == tuple(expected)
    assert model.output_shape == (None, *expected[1:])
    assert call(model, [each[:1] for each in inputs]).shape[0] == 1


# --- compared with NumPy -----------------------------------------------------


def test_local_response_normalization_is_the_papers_formula():
    a = 30 * draw(2, 3, 3, 7)
    expected = np.empty_like(a)
    for channel in range(7):
        first, last = max(0, channel - 2), min(6, channel + 2)
        total = (a[..., first : last + 1] ** 2).sum(-1)
        expected[..., channel] = a[..., channel] / (2 + 1e-4 * total) ** 0.75
    np.testing.assert_allclose(LocalResponseNormalization()(a), expected, rtol=1e-5)


def test_local_response_normalization_of_values_whose_square_overflows():
    layer = LocalResponseNormalization(dtype="float16")
    assert np.isfinite(layer(np.full((1, 1, 1, 5), 1000, "float16"))).all()


@pytest.mark.parametrize("size", [0, 2])
def test_local_response_normalization_rejects_an_even_window(size):
    with pytest.raises(ValueError, match=f"Received: size={size}$"):
        LocalResponseNormalization(size)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, (1, 3)])
def test_locally_connected_is_a_dense_layer_at_each_position(padding, strides):
    images = draw(2, 7, 8, 3)
    layer = LocallyConnected2D(4, (3, 2), strides=strides, padding=padding)
    outputs = np.asarray(layer(images))
    layer.set_weights([draw(*layer.kernel.shape), draw(*layer.bias.shape)])
    outputs = np.asarray(layer(images))
    kernel, bias = layer.get_weights()

    down, right = layer.strides
    framed = images
    if padding == "same":
        # As in Conv2D: zeros on both sides, the odd one at the end.
        frames = []
        for size, window, stride in ((7, 3, down), (8, 2, right)):
            total = max(0, (-(-size // stride) - 1) * stride + window - size)
            frames.append((total // 2, total - total // 2))
        framed = np.pad(images, [(0, 0), *frames, (0, 0)])
    for row, column in np.ndindex(outputs.shape[1:3]):
        y, x = row * down, column * right
        window = framed[:, y : y + 3, x : x + 2].reshape(2, -1)
        expected = window @ kernel[row, column] + bias[row, column]
        np.testing.assert_allclose(outputs[:, row, column], expected, atol=1e-4)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_locally_connected_with_equal_weights_is_a_convolution(padding):
    images = draw(2, 9, 6, 3)
    convolution = keras.layers.Conv2D(4, 3, strides=2, padding=padding)
    expected = convolution(images)
    layer = LocallyConnected2D(4, 3, strides=2, padding=padding)
    layer.build(images.shape)
    kernel, bias = convolution.get_weights()
    layer.kernel.assign(np.broadcast_to(kernel.reshape(-1, 4), layer.kernel.shape))
    layer.bias.assign(np.broadcast_to(bias, layer.bias.shape))
    np.testing.assert_allclose(layer(images), expected, atol=1e-5)


def test_locally_connected_starts_with_the_fan_in_of_one_window():
    layer = LocallyConnected2D(8, 5, kernel_initializer="he_normal")
    layer.build((None, 16, 16, 8))
    deviation = np.std(layer.kernel)
    assert deviation == pytest.approx((2 / (5 * 5 * 8)) ** 0.5, rel=0.02)


def test_locally_connected_penalises_its_kernel():
    layer = LocallyConnected2D(2, 3, kernel_regularizer=keras.regularizers.L2(0.5))
    layer.build((None, 4, 4, 1))
    expected = 0.5 * np.square(layer.kernel).sum()
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "shape", "received"),
    [
        ({"kernel_size": 0}, None, "kernel_size=0"),
        ({"kernel_size": 3, "strides": 0}, None, "strides=0"),
        ({"kernel_size": 3, "padding": "sane"}, None, "padding=sane"),
        ({"kernel_size": 3}, (None, 2, 9, 1), "input_shape="),
        ({"kernel_size": 3}, (None, None, 9, 1), "input_shape="),
    ],
)
def test_locally_connected_rejects_invalid_arguments(arguments, shape, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        LocallyConnected2D(2, **arguments).build(shape)


def sample(image, x, y):
    """Return the image's value at (x, y), bilinear, zero outside: plain loops."""
    height, width, channels = image.shape
    value = np.zeros(channels)
    for row in (int(np.floor(y)), int(np.floor(y)) + 1):
        for column in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= row < height and 0 <= column < width:
                weight = (1 - abs(x - column)) * (1 - abs(y - row))
                value += weight * image[row, column]
    return value


@pytest.mark.parametrize("size", [(None, None), (3, 4)])
def test_spatial_transformer_samples_the_affine_grid(size):
    images, angles = draw(4, 6, 5, 2), theta(4)
    outputs = np.asarray(SpatialTransformer(*size)([images, angles]))
    rows, columns = size[0] or 6, size[1] or 5
    for index, row, column in np.ndindex(4, rows, columns):
        target = (2 * column / (columns - 1) - 1, 2 * row / (rows - 1) - 1, 1)
        x, y = angles[index].reshape(2, 3) @ target
        expected = sample(images[index], (x + 1) * 4 / 2, (y + 1) * 5 / 2)
        np.testing.assert_allclose(outputs[index, row, column], expected, atol=1e-4)


def test_spatial_transformer_knows_identity_mirror_shift_and_nowhere():
    images = draw(4, 5, 5, 1)
    transformations = np.array(
        [
            [1, 0, 0, 0, 1, 0],
            [-1, 0, 0, 0, 1, 0],
            [1, 0, 0.5, 0, 1, 0],  # one pixel: five centres from -1 to 1
            [1, 0, 1e30, 0, 1, -1e30],
        ],
        "float32",
    )
    same, mirrored, shifted, away = SpatialTransformer()([images, transformations])
    np.testing.assert_allclose(same, images[0], atol=1e-6)
    np.testing.assert_allclose(mirrored, images[1, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(shifted[:, :4], images[2, :, 1:], atol=1e-6)
    np.testing.assert_array_equal(shifted[:, 4], 0)
    np.testing.assert_array_equal(away, 0)


def test_spatial_transformer_has_the_gradient_of_finite_differences():
    import tensorflow as tf

    # A smooth image, and points off the pixel centres, where the slope jumps.
    y, x = np.mgrid[0:9, 0:9]
    image = np.sin(x / 3 + y / 5)[None, ..., None].astype("float32")
    here = np.array([[0.71, 0.06, 0.03, -0.04, 0.67, 0.02]], "float32")
    layer = SpatialTransformer(4, 4)

    def total(angles):
        return tf.reduce_sum(layer([image, angles]))

    with tf.GradientTape() as tape:
        angles = tf.constant(here)
        tape.watch(angles)
        loss = total(angles)
    gradient = tape.gradient(loss, angles)[0]
    for index in range(6):
        step = np.zeros_like(here)
        step[0, index] = 1e-3
        slope = (total(here + step) - total(here - step)) / 2e-3
        assert float(gradient[index]) == pytest.approx(float(slope), abs=0.05)


def test_identity_shortcut_keeps_every_second_pixel_and_adds_zeros():
    maps = draw(2, 5, 4, 3)
    outputs = np.asarray(IdentityShortcut(5, strides=2)(maps))
    np.testing.assert_array_equal(outputs[..., :3], maps[:, ::2, ::2])
    np.testing.assert_array_equal(outputs[..., 3:], 0)


def test_identity_shortcut_rejects_fewer_maps():
    with pytest.raises(ValueError, match=r"Received: filters=2$"):
        IdentityShortcut(2)(draw(1, 4, 4, 3))


def test_dirac_convolution_copies_its_input():
    maps = draw(2, 6, 6, 3)
    layer = keras.layers.Conv2D(5, 3, padding="same", kernel_initializer=Dirac(1))
    outputs = np.asarray(layer(maps))
    np.testing.assert_allclose(outputs[..., :3], maps, atol=1e-6)
    rest = np.asarray(layer.kernel)[..., 3:]
    assert 0 < np.abs(rest).max() <= (1 / 27) ** 0.5
    again = keras.initializers.deserialize(keras.initializers.serialize(Dirac(1)))
    np.testing.assert_array_equal(again((3, 3, 3, 5)), layer.kernel)
    assert np.abs(np.asarray(Dirac(1)((12, 12)))).max() <= (1 / 12) ** 0.5
