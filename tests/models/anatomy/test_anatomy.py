"""The anatomy, compared with Keras, with the literature and with a probe."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from fovea import models
from fovea.models import registry
from fovea.models.anatomy.walk import anatomy
from fovea.models.anatomy.without_weights import without_weights
from fovea.models.layers.identity_shortcut import IdentityShortcut
from fovea.models.layers.locally_connected_2d import LocallyConnected2D
from fovea.models.layers.spatial_transformer import SpatialTransformer

IMAGE = (13, 11, 2)


def network(body, shape=IMAGE):
    """Return the model of a function from an image tensor to a tensor."""
    images = keras.Input(shape, name="images")
    return keras.Model(images, body(images))


def probe(model):
    """Return the rows and columns of the pixels that affect each output unit.

    Independent of the anatomy: every pixel is raised in turn, and the units
    that change have seen it. All weights are positive, so that nothing cancels
    and a maximum follows the raised pixel.
    """
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    height, width, channels = model.input_shape[1:]
    image = rng.uniform(0, 1, (height, width, channels)).astype("float32")
    raised = np.repeat(image[None], height * width, axis=0)
    for i in range(height * width):
        raised[i, i // width, i % width] += 100
    before = keras.ops.convert_to_numpy(model(image[None], training=False))
    after = keras.ops.convert_to_numpy(model(raised, training=False))
    moved = np.abs(after - before).max(axis=-1) > 1e-3 * np.abs(before).max(axis=-1)
    return moved.reshape(height, width, *moved.shape[1:])


def assert_boxes_are_exact(model):
    moved = probe(model)
    output = anatomy(model).layers[-1]
    for row in range(moved.shape[2]):
        for column in range(moved.shape[3]):
            rows = np.flatnonzero(moved[:, :, row, column].any(axis=1))
            columns = np.flatnonzero(moved[:, :, row, column].any(axis=0))
            box = output.box(row, column)
            if len(rows) == 0:
                assert box == (0, 0, 0, 0)
                continue
            seen = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
            assert box == seen, (row, column)


def inception(x):
    narrow = layers.Conv2D(2, 1)(x)
    wide = layers.Conv2D(2, 5, padding="same")(layers.Conv2D(2, 1)(x))
    pooled = layers.MaxPooling2D(3, 1, padding="same")(x)
    return layers.Concatenate()([narrow, wide, pooled])


def residual(x):
    y = layers.Conv2D(4, 3, 2, padding="same")(x)
    y = layers.Conv2D(4, 3, padding="same")(layers.LeakyReLU()(y))
    return layers.Add()([y, layers.Conv2D(4, 1, 2)(x)])


def nested(x):
    inner = network(lambda t: layers.Conv2D(3, 3)(layers.ZeroPadding2D(1)(t)))
    return layers.AveragePooling2D(2)(inner(x))


def side_by_side(x):
    top, bottom = layers.Conv2D(2, 3, padding="same")(x), layers.Conv2D(2, (1, 11))(x)
    return layers.Concatenate(axis=1)([layers.MaxPooling2D((1, 11))(top), bottom])


def squeeze_and_excite(x):
    x = layers.Conv2D(3, 3)(x)
    gate = layers.Dense(3)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Multiply()([x, gate])


BODIES = {
    "valid": lambda x: layers.Conv2D(2, 3)(x),
    "same, stride": lambda x: layers.Conv2D(2, 3, 2, padding="same")(x),
    "rectangle": lambda x: layers.Conv2D(2, (1, 4), (2, 3), padding="same")(x),
    "dilated": lambda x: layers.Conv2D(2, 3, padding="same")(
        layers.Conv2D(2, 2, dilation_rate=3, padding="same")(x)
    ),
    "grouped": lambda x: layers.Conv2D(4, 3, groups=2)(x),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, 2, padding="same")(x),
    "separable": lambda x: layers.SeparableConv2D(4, 3, 2)(x),
    "locally connected": lambda x: LocallyConnected2D(2, 3, strides=2)(x),
    "pooling": lambda x: layers.AveragePooling2D(2)(layers.MaxPooling2D(3, 2)(x)),
    "padding alone": lambda x: layers.ZeroPadding2D(((2, 0), (1, 3)))(x),
    "padding": lambda x: layers.Conv2D(2, 2)(layers.ZeroPadding2D(((3, 1), (0, 4)))(x)),
    "crop, then pad": lambda x: layers.Conv2D(2, 5, padding="same")(
        layers.Cropping2D(((4, 1), (2, 3)))(x)
    ),
    "slice": lambda x: layers.Conv2D(2, 2)(x[:, 1::2, ::3]),
    "shortcut": lambda x: IdentityShortcut(4, strides=2)(x),
    "padded by ops": lambda x: keras.ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 3))),
    "nearest": lambda x: layers.Conv2D(2, 3)(layers.UpSampling2D(2)(x)),
    "bilinear": lambda x: layers.UpSampling2D((2, 3), interpolation="bilinear")(x),
    "resized": lambda x: layers.Resizing(5, 16)(x),
    "transposed": lambda x: layers.Conv2DTranspose(2, 3)(x),
    "transposed, stride": lambda x: layers.Conv2DTranspose(2, 3, 2)(x),
    "transposed, same": lambda x: layers.Conv2DTranspose(2, 4, 2, padding="same")(x),
    "transposed, odd": lambda x: layers.Conv2DTranspose(2, 3, 2, padding="same")(x),
    "encoder, decoder": lambda x: layers.Conv2DTranspose(2, 2, 2)(
        layers.Conv2D(2, 3, 2)(x)
    ),
    "inception": lambda x: layers.Conv2D(2, 3, 2)(inception(x)),
    "residual": lambda x: residual(residual(x)),
    "nested": lambda x: layers.Conv2D(1, 2)(nested(x)),
    "side by side": side_by_side,
    "squeeze and excite": squeeze_and_excite,
    "operators": lambda x: keras.ops.relu(layers.Conv2D(2, 3, padding="same")(x) + x),
    "dense on a map": lambda x: layers.Dense(3)(layers.Conv2D(2, 3)(x)),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_box_agrees_with_size_jump_and_start(body):
    for layer in anatomy(network(body)).layers:
        field = layer.receptive_field
        if field.jump is None:
            continue
        for row in range(layer.output_shape[0]):
            y0, y1, _, _ = layer.box(row, layer.output_shape[1] // 2)
            start = field.start[0] + row * field.jump[0]
            end = start + field.size[0]
            assert y0 == y1 or (y0 > start - 1 and y1 < end + 1)
            inside = start >= 0 and end <= IMAGE[0]
            # Only upsampled, padded or cropped units see less than the nominal size.
            if inside and body is BODIES["residual"]:
                assert (y0, y1) == (start, end)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_unit_sees_exactly_its_box(body):
    assert_boxes_are_exact(network(body))


def test_a_spatial_transformer_may_see_everything():
    def body(x):
        theta = layers.Dense(6)(layers.Flatten()(layers.Conv2D(1, 3)(x)))
        return layers.Conv2D(1, 3)(SpatialTransformer()([x, theta]))

    output = anatomy(network(body)).layers[-1]
    assert output.box(0, 0) == (0, 13, 0, 11)
    assert output.receptive_field.jump is None


def test_the_nominal_field_follows_the_recursion_and_the_box_clips_it():
    parts = anatomy(models.build("lenet5", (28, 28, 1), 10))
    c3, c5 = parts.layer("c3"), parts.layer("c5")
    assert (c3.receptive_field.size, c3.receptive_field.jump) == ((14, 14), (2, 2))
    # The frame of two zeros around a 28x28 image.
    assert (c3.receptive_field.start, c3.receptive_field.centre) == (
        (-2, -2),
        (4.5, 4.5),
    )
    assert c3.box(0, 0) == (0, 12, 0, 12)
    assert c3.box(5, 4) == (8, 22, 6, 20)
    assert parts.receptive_field == c5.receptive_field.size == (32, 32)
    assert parts.layer("f6").box() == (0, 28, 0, 28)
    assert parts.layer("f6").receptive_field.jump is None


def test_upsampling_makes_the_jump_smaller_than_one():
    parts = anatomy(network(lambda x: layers.Conv2DTranspose(1, 2, 2)(x)))
    field = parts.layers[-1].receptive_field
    assert field.jump == (0.5, 0.5)
    assert field.size == (1, 1)


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds", "field"),
    [
        # 15.5 G, 3.9 G, 5.7 G, 0.30 G: He et al. 2015, Szegedy et al. 2015, Sandler
        # et al. 2018. Fields: 212, 483, 1311 (Araujo et al., Distill 2019).
        ("VGG16", 138_357_544, 15_470_264_320, (212, 212)),
        ("ResNet50", 25_636_712, 3_857_973_248, (483, 483)),
        ("InceptionV3", 23_851_784, 5_713_216_096, (1311, 1311)),
        ("MobileNetV2", 3_538_984, 300_774_272, (491, 491)),
    ],
)
def test_published_figures_of_keras_own_networks(
    name, parameters, multiply_adds, field
):
    with without_weights():
        model = getattr(keras.applications, name)(weights=None)
    parts = anatomy(model)
    assert parts.parameters == parameters == model.count_params()
    assert parts.multiply_adds == multiply_adds
    assert parts.receptive_field == field
    assert parts.unknown == ()


def test_lenet5_layer_for_layer():
    parts = anatomy(models.build("lenet5", (32, 32, 1), 10))
    work = {x.name: x.multiply_adds for x in parts.layers if x.multiply_adds}
    assert work == {
        "c1": 28 * 28 * 25 * 6,
        "c3": 10 * 10 * 25 * 6 * 16,
        "c5": 25 * 16 * 120,
        "f6": 120 * 84,
        "logits": 84 * 10,
    }
    c1 = parts.layer("c1")
    assert c1.parameters == 156
    assert c1.locally_connected == 28 * 28 * 6 * (25 + 1)
    assert c1.fully_connected == 28 * 28 * 6 * (32 * 32 + 1)
    assert (c1.kernel, c1.stride, c1.padding) == ((5, 5), (1, 1), ((0, 0), (0, 0)))
    # c5 sees the whole map and shares nothing: three times the same.
    c5 = parts.layer("c5")
    assert c5.parameters == c5.fully_connected == c5.locally_connected == 48_120


@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1)], ids=["cifar", "mnist"])
@pytest.mark.parametrize("name", models.names())
def test_the_zoo_is_known_and_counted_as_keras_counts(name, shape):
    with without_weights():
        model = registry.build(name, shape, 10)
    parts = anatomy(model)
    assert parts.parameters == model.count_params()
    assert parts.trainable_parameters == sum(
        int(np.prod(w.shape)) for w in model.trainable_weights
    )
    assert parts.unknown == ()
    assert all(layer.receptive_field for layer in parts.layers)
    assert parts.layers[-1].output_shape[-1] == 10
    json.dumps(parts.as_dict())


def test_the_cost_of_a_locally_connected_layer():
    conv = anatomy(network(lambda x: layers.Conv2D(5, 3)(x))).layers[-1]
    local = anatomy(network(lambda x: LocallyConnected2D(5, 3)(x))).layers[-1]
    assert local.parameters == local.locally_connected == conv.locally_connected
    assert local.multiply_adds == conv.multiply_adds
    assert local.fully_connected == conv.fully_connected


@pytest.mark.parametrize(
    ("layer", "multiply_adds"),
    [
        (layers.Conv2D(6, 3, groups=2), 11 * 9 * 9 * 1 * 6),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), 11 * 9 * 9 * 2 * 2),
        (layers.SeparableConv2D(6, 3), 11 * 9 * (9 * 2 + 2 * 6)),
        (layers.Conv2DTranspose(6, 3, 2), 13 * 11 * 9 * 2 * 6),
        (layers.Dense(6), 13 * 11 * 2 * 6),
    ],
    ids=["grouped", "depthwise", "separable", "transposed", "dense"],
)
def test_multiply_adds_by_hand(layer, multiply_adds):
    assert anatomy(network(layer)).multiply_adds == multiply_adds


def test_pixels_beyond_the_last_window_are_reported():
    parts = anatomy(network(lambda x: layers.MaxPooling2D(2, name="pool")(x)))
    assert parts.layer("pool").unseen == (1, 1)
    (warning,) = parts.warnings
    assert warning == (
        "pool: 1 of 13 rows and 1 of 11 columns of its input are not covered, because "
        "(13 - 2 + 0) is not divisible by the stride 2."
    )


def test_gaps_between_windows_are_reported_unless_another_branch_sees_them():
    alone = anatomy(network(lambda x: layers.Conv2D(2, 1, 2, name="skip")(x)))
    assert alone.layer("skip").unseen == (6, 5)
    assert "a kernel of 1 with stride 2 leaves gaps" in alone.warnings[0]
    assert anatomy(network(residual)).warnings == ()


def test_unused_padding_is_not_reported():
    def body(x):
        return layers.Conv2D(2, 3, 3)(layers.ZeroPadding2D(((0, 1), (0, 0)))(x))

    parts = anatomy(network(body, (12, 12, 1)))
    assert parts.warnings == ()


def test_an_unknown_layer_is_reported():
    class Mystery(layers.Layer):
        def build(self, shape):
            self.weight = self.add_weight(shape=(7,))

        def call(self, x):
            return keras.ops.flip(x, 1) * self.weight[0]

    class OwnConvolution(layers.Conv2D):
        def call(self, x):
            return super().call(keras.ops.flip(x, 1))

    channels_first = layers.Conv2D(2, 3, data_format="channels_first", padding="same")
    for layer, parameters in (
        (Mystery(name="odd"), 7),
        (OwnConvolution(2, 3), 38),
        (channels_first, 2 * (9 * IMAGE[0] + 1)),
    ):
        parts = anatomy(network(lambda x, f=layer: layers.Conv2D(1, 1)(f(x))))
        odd, conv = parts.layers[-2:]
        assert (odd.parameters, odd.multiply_adds) == (parameters, None)
        assert odd.receptive_field is conv.receptive_field is None
        assert conv.multiply_adds is not None
        assert parts.unknown == (odd.name,)
        assert "unknown type" in parts.warnings[0]
        with pytest.raises(ValueError, match=r"unknown type.*Received: layer=conv"):
            conv.box(0, 0)


def test_statistics_over_the_map_are_mentioned():
    parts = anatomy(network(lambda x: layers.GroupNormalization(1, name="gn")(x)))
    assert parts.warnings[0].startswith("gn: its statistics")
    plain = anatomy(network(lambda x: layers.LayerNormalization()(x)))
    assert plain.warnings == ()


def test_a_shared_layer_s_weights_are_counted_once_and_its_work_twice():
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    model = network(lambda x: layers.Add()([shared(x), shared(shared(x))]))
    parts = anatomy(model)
    assert parts.parameters == model.count_params() == 38
    assert parts.multiply_adds == 3 * 13 * 11 * 9 * 2 * 2
    assert [x.name for x in parts.layers[1:4]] == ["shared", "shared#2", "shared#3"]
    assert_boxes_are_exact(model)


def test_sequential_and_nested_models_are_traversed():
    inner = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(3, 3, name="conv"), layers.Flatten()],
        name="inner",
    )
    model = keras.Sequential([keras.Input(IMAGE), inner, layers.Dense(4)])
    parts = anatomy(model)
    assert parts.parameters == model.count_params()
    assert parts.layer("inner/conv").receptive_field.size == (3, 3)


def test_memory_adds_up():
    model = network(lambda x: layers.Conv2D(4, 3, padding="same")(x))
    parts = anatomy(model)
    weights = 4 * (9 * 2 * 4 + 4)
    images, maps = 4 * 13 * 11 * 2, 4 * 13 * 11 * 4
    memory = parts.memory(10)
    assert memory.parameters == weights
    assert memory.inference == weights + 10 * (images + maps)
    assert memory.training_momentum == 3 * weights + 10 * (images + maps)
    assert memory.training_adam == 4 * weights + 10 * (images + maps)
    with pytest.raises(ValueError, match="Received: batch_size=0"):
        parts.memory(0)


def test_the_peak_excludes_freed_tensors_and_includes_shortcuts():
    def chain(x):
        for _ in range(4):
            x = layers.Conv2D(2, 3, padding="same")(x)
        return x

    one = 4 * 13 * 11 * 2
    assert anatomy(network(chain)).peak_bytes == 2 * one
    assert anatomy(network(lambda x: layers.Add()([chain(x), x]))).peak_bytes == 3 * one


def test_half_precision_halves_the_activations():
    def parts(dtype):
        return anatomy(network(lambda x: layers.Conv2D(4, 3, dtype=dtype)(x)))

    full, mixed = parts("float32"), parts("mixed_bfloat16")
    image = 4 * 13 * 11 * 2
    assert mixed.output_bytes - image == (full.output_bytes - image) // 2
    assert mixed.parameter_bytes == full.parameter_bytes


def test_building_without_weights_leaves_no_state():
    with without_weights():
        light = keras.applications.VGG16(weights=None)
    assert light.count_params() == 138_357_544
    assert all(weight._value is None for weight in light.weights)
    model = models.build("lenet5", (28, 28, 1), 10)
    logits = model(np.zeros((1, 28, 28, 1), "uint8"))
    assert logits.shape == (1, 10)
    assert all(weight._value is None for weight in light.weights)


def test_invalid_input_is_rejected():
    with pytest.raises(ValueError, match=r"Received: input_shape=\(None, None, 3\)"):
        anatomy(network(lambda x: layers.Conv2D(1, 3)(x), (None, None, 3)))
    with pytest.raises(ValueError, match=r"functional or sequential.*Received: model="):
        anatomy(keras.Sequential([layers.Dense(3)], name="unbuilt"))
    parts = anatomy(network(lambda x: layers.Conv2D(1, 3, name="conv")(x)))
    with pytest.raises(ValueError, match=r"map of 11x9. Received: unit=\(11, 0\)"):
        parts.layer("conv").box(11, 0)
    with pytest.raises(ValueError, match="Received: layer=cnov"):
        parts.layer("cnov")
