"""Properties of every augmentation layer and every policy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fovea import models
from fovea.models import augmentation

RANGE = (-0.5, 1.5)
LAYERS = {
    "HorizontalFlip": augmentation.HorizontalFlip,
    "AlternatingFlip": lambda **kw: augmentation.AlternatingFlip(RANGE, **kw),
    "RandomShift": lambda **kw: augmentation.RandomShift(2, fill_value=-0.5, **kw),
    "RandomShift-reflect": lambda **kw: augmentation.RandomShift(
        2, padding="reflect", **kw
    ),
    "RandomAffine": lambda **kw: augmentation.RandomAffine(
        rotation=30, shift=0.1, zoom=0.2, shear=0.2, fill_value=-0.5, **kw
    ),
    "RandomResizedCrop": augmentation.RandomResizedCrop,
    "ColorJitter": lambda **kw: augmentation.ColorJitter(
        RANGE, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, **kw
    ),
    "Cutout": lambda **kw: augmentation.Cutout(5, fill_value=-0.5, **kw),
    "RandAugment": lambda **kw: augmentation.RandAugment(RANGE, magnitude=20, **kw),
}
# Keras' saving with numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")
each_layer = pytest.mark.parametrize("name", LAYERS)


def images(count=48, shape=(12, 10, 3), seed=0) -> np.ndarray:
    """Return smooth random images within RANGE, so that they have structure."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(*RANGE, (count, 4, 4, shape[-1])).astype("float32")
    return np.array(tf.image.resize(coarse, shape[:2]))


def same_image(count=48) -> np.ndarray:
    return np.repeat(images(1), count, axis=0)


@each_layer
def test_is_the_identity_unless_training(name):
    layer = LAYERS[name]()
    x = images()
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    for y in (layer(x), layer(x, training=False), model(x), model(x, training=False)):
        np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    assert not np.array_equal(model(x, training=True), x)


@each_layer
def test_draws_new_values_for_every_image_and_call(name):
    layer = LAYERS[name](seed=1)
    x = same_image()
    first, second = (np.asarray(layer(x, training=True)) for _ in range(2))
    different = len(np.unique(first.reshape(len(x), -1), axis=0))
    assert different == 2 if "Flip" in name else different > 10
    assert not np.array_equal(first, second)


@each_layer
def test_seed_decides(name):
    x = same_image()

    def run(**kwargs):
        layer = LAYERS[name](**kwargs)
        return np.stack([layer(x, training=True) for _ in range(2)])

    np.testing.assert_array_equal(run(seed=3), run(seed=3))
    assert not np.array_equal(run(seed=3), run(seed=4))
    keras.utils.set_random_seed(5)
    unseeded = run()
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(unseeded, run())


@each_layer
def test_stays_within_the_value_range(name):
    x = images()
    x[:4] = RANGE[0]
    x[4:8] = RANGE[1]
    y = np.asarray(LAYERS[name](seed=1)(x, training=True))
    assert y.shape == x.shape and y.dtype == x.dtype
    assert y.min() >= RANGE[0] - 1e-5 and y.max() <= RANGE[1] + 1e-5


@pytest.mark.slow
@each_layer
def test_compiles_under_xla(name):
    layer = LAYERS[name](seed=1)
    assert layer.supports_jit
    x = same_image()

    # As in fit, the size of the batch is not known when this is traced.
    @tf.function(
        jit_compile=True, input_signature=[tf.TensorSpec((None, *x.shape[1:]))]
    )
    def compiled(x):
        return layer(x, training=True)

    first, second = compiled(x).numpy(), compiled(x).numpy()
    assert first.shape == x.shape
    assert first.min() >= RANGE[0] - 1e-5 and first.max() <= RANGE[1] + 1e-5
    different = len(np.unique(first.reshape(len(x), -1), axis=0))
    assert different == 2 if "Flip" in name else different > 10
    assert not np.array_equal(first, second)


@each_layer
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_computes_in_float32_whatever_the_compute_dtype(name, dtype):
    x = keras.ops.cast(images(), dtype.removeprefix("mixed_"))
    y = LAYERS[name](seed=1, dtype=dtype)(x, training=True)
    assert y.dtype == dtype.removeprefix("mixed_")
    exact = LAYERS[name](seed=1)(keras.ops.cast(x, "float32"), training=True)
    np.testing.assert_array_equal(y, keras.ops.cast(exact, y.dtype))


@each_layer
def test_weights_fit_the_model_without_the_layer(name):
    layer = LAYERS[name]()
    layer(images(), training=True)
    assert layer.weights == []


@each_layer
def test_saves_and_loads_within_a_model(name, tmp_path):
    x = images()
    inputs = keras.Input(x.shape[1:])
    outputs = keras.layers.Flatten()(LAYERS[name](seed=6)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(outputs))
    model(x, training=True)  # moves the random state
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert loaded.layers[1].get_config() == model.layers[1].get_config()
    # The random state is saved too: both continue equally.
    np.testing.assert_array_equal(loaded(x, training=True), model(x, training=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy, shape, jit",
    [
        *((policy, (16, 20, 3), False) for policy in augmentation.POLICIES),
        ("mnist", (28, 28, 1), True),
    ],
)
def test_policy_trains_in_a_model(policy, shape, jit):
    inputs = keras.Input(shape, dtype="uint8")
    x = keras.layers.Rescaling(2 / 255, offset=-1)(inputs)
    for layer in augmentation.resolve(policy, fill_value=-1.0, white_value=1.0):
        assert layer.name.startswith("augment_")
        x = layer(x)
    x = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse", jit_compile=jit)
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (16, *shape), np.uint8)
    losses = model.fit(data, rng.normal(size=(16, 4)), batch_size=8, verbose=0)
    assert np.isfinite(losses.history["loss"]).all()
    assert len(model.weights) == 2


def test_policy_in_an_architecture(tmp_path):
    kwargs = {"input_shape": (28, 28, 1), "num_classes": 10}
    model = models.build("lenet5", **kwargs, augmentation="mnist")
    plain = models.build("lenet5", **kwargs)
    plain.set_weights(model.get_weights())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), np.uint8)
    np.testing.assert_array_equal(model(x), loaded(x))
    np.testing.assert_allclose(model(x), plain(x), atol=1e-6)
    assert not np.allclose(model(x, training=True), plain(x), atol=1e-3)


def test_resolve():
    assert augmentation.resolve(None, fill_value=0.0) == []
    assert augmentation.resolve("none", fill_value=0.0) == []
    layers = [augmentation.HorizontalFlip()]
    assert augmentation.resolve(layers, fill_value=0.0) == layers
    (affine,) = augmentation.resolve("mnist", fill_value=-0.1)
    assert affine.fill_value == -0.1
    jitter = augmentation.resolve("imagenet", fill_value=-0.1, white_value=1.175)[-1]
    assert jitter.value_range == (-0.1, 1.175)


@pytest.mark.parametrize(
    "word, suggestion", [("cifar_strng", "did you mean cifar_strong?"), ("xyzzy", "")]
)
def test_unknown_policy(word, suggestion):
    with pytest.raises(ValueError) as caught:
        augmentation.resolve(word, fill_value=0.0)
    assert suggestion in str(caught.value)
    assert str(caught.value).endswith(f"Received: augmentation={word}")


@pytest.mark.parametrize(
    "build, received",
    [
        (lambda: augmentation.RandomShift(0), "pixels=0"),
        (lambda: augmentation.RandomShift(2, padding="same"), "padding=same"),
        (lambda: augmentation.RandomAffine(rotation=-1), "rotation=-1"),
        (lambda: augmentation.RandomAffine(zoom=1), "zoom=1"),
        (lambda: augmentation.RandomResizedCrop(area=(0, 1)), "area=(0, 1)"),
        (lambda: augmentation.RandomResizedCrop(ratio=(2, 1)), "ratio=(2, 1)"),
        (lambda: augmentation.ColorJitter((0, 1), hue=0.6), "hue=0.6"),
        (lambda: augmentation.Cutout(2.5), "size=2.5"),
        (lambda: augmentation.RandAugment((0, 1), num_ops=0), "num_ops=0"),
        (lambda: augmentation.RandAugment((0, 1), magnitude=31), "magnitude=31"),
        (
            lambda: augmentation.RandAugment((0, 1)).build((None, 8, 8, 2)),
            "input_shape=(None, 8, 8, 2)",
        ),
    ],
)
def test_unusable_value(build, received):
    with pytest.raises(ValueError) as caught:
        build()
    assert str(caught.value).endswith(f"Received: {received}")
