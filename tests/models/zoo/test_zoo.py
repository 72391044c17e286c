"""What every architecture promises, whatever it is.

Building is cheap (`without_weights` leaves the weights out), so that is tested for the
whole zoo at once. Training, saving and loading are tested for one architecture
of each family; with `-m matrix` for all of them, at both sizes, with and without
XLA, in float32 and mixed_bfloat16.
"""

import math
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from fovea import models
from fovea.models import registry
from fovea.models.anatomy.without_weights import without_weights
from fovea.models.registry import ARCHITECTURES
from fovea.models.style import (
    ACTIVATIONS,
    INITIALISERS,
    NORMALISATIONS,
    PADDINGS,
    POOLINGS,
    Style,
)

NAMES = list(ARCHITECTURES)
MNIST, CIFAR = (28, 28, 1), (32, 32, 3)
SIZES = {"mnist": MNIST, "cifar": CIFAR}
# The cheapest of each family.
FAMILIES = {row.module: row.name for row in reversed(ARCHITECTURES.values())}
STYLE_OPTIONS = {
    "activation": ACTIVATIONS,
    "pooling": POOLINGS,
    "normalisation": NORMALISATIONS,
    "initialiser": ("dirac", "he_normal", "orthogonal"),
    "padding": PADDINGS,
    "dropout": (0.0, 0.3),
    "l1": (0.0, 1e-5),
    "l2": (0.0, 1e-4),
    "stride": (1, 2),
}


@pytest.fixture(autouse=True)
def clean():
    """Leave no dtype policy to the next test."""
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


def bare(name, input_shape=CIFAR, num_classes=10, **options):
    """Build without weights."""
    with without_weights():
        return models.build(name, input_shape, num_classes, **options)


def pictures(shape, count=4):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), "uint8")


# --- the catalogue -----------------------------------------------------------


def test_listing_the_zoo_imports_no_framework():
    script = (
        "import sys, models, fovea.models.registry; models.names();"
        "fovea.models.registry.check('lenet5');"
        "sys.exit(bool({'keras', 'tensorflow', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_has_the_papers_number_of_parameters(name):
    row = ARCHITECTURES[name]
    model = bare(name, row.input_shape, row.num_classes, **row.options)
    assert sum(math.prod(w.shape) for w in model.trainable_weights) == row.parameters


@pytest.mark.parametrize("name", NAMES)
def test_says_where_it_comes_from(name):
    row = ARCHITECTURES[name]
    text = registry.builder(name).__doc__
    if registry.builder(name).__name__ != row.module:  # one depth of a family
        text += getattr(
            sys.modules[f"fovea.models.zoo.{row.module}"], row.module
        ).__doc__
    assert str(row.year) in text
    assert row.paper.split(",")[0].split(":")[0].split()[0] in text
    for section in ("Args:", "Returns:", "Raises:", "What differs from"):
        assert section in text
    for option in registry.known_options(name):
        assert option in (Style.__doc__ if hasattr(Style, option) else text)


def test_options_of_a_family_member_are_its_familys():
    options = registry.known_options("vgg16")
    assert options["dropout"] == 0.5
    assert options["fc_units"] is None
    assert "depth" not in options


def test_a_builder_refuses_a_style_option_that_it_does_not_take():
    with pytest.raises(TypeError, match=r"padding=same$") as info:
        registry.builder("wrn")(CIFAR, 10, padding="same")
    assert "dropout, initialiser" in str(info.value)


# --- the contract ------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_takes_uint8_images_and_gives_float32_logits(name, size):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = bare(name, SIZES[size], 7)
    (images,) = model.inputs
    assert (images.name, images.dtype) == ("images", "uint8")
    assert images.shape == (None, *SIZES[size])
    assert model.output_names == ["logits"]
    assert model.output.dtype == "float32"
    assert model.output.shape == (None, 7)
    assert model.name == name
    assert model.layers[1].name == "normalisation"
    assert all(weight.dtype == "float32" for weight in model.weights)
    # The bulk of the work is done in the compute dtype.
    convolutions = [layer for layer in model.layers if "Conv" in type(layer).__name__]
    assert all(layer.compute_dtype == "bfloat16" for layer in convolutions[:-1])


@pytest.mark.parametrize("name", FAMILIES.values())
def test_names_every_layer(name):
    # Names that Keras makes up are numbered on, so a second build has others.
    first, second = ([layer.name for layer in bare(name).layers] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("name", FAMILIES.values())
def test_takes_images_that_are_not_square_and_one_class(name):
    model = bare(name, (28, 40, 2), 1)
    assert model.output.shape == (None, 1)


@pytest.mark.parametrize("name", FAMILIES.values())
def test_takes_large_images(name):
    bare(name, (96, 96, 3), 10)


# --- style -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name in FAMILIES.values()
        for option in STYLE_OPTIONS
        if option in registry.known_options(name)
    ],
)
def test_style_option(name, option):
    values = STYLE_OPTIONS[option] if name == "lenet5" else STYLE_OPTIONS[option][-2:]
    for value in values:
        try:
            model = bare(name, **{option: value})
        except ValueError as error:
            # Refused with the rule: maps too small or a dense layer too large.
            assert re.search(r"Received: \w+=.*\Z", str(error)), error
            assert option in ("pooling", "padding", "stride"), error
            continue
        configs = [layer.get_config() for layer in model.layers]
        kinds = {type(layer).__name__ for layer in model.layers}
        if option == "activation":
            found = [c["activation"] for c in configs if c.get("activation")]
            # Keras names its own, and describes the others.
            names = [f["config"] if isinstance(f, dict) else f for f in found]
            used = {name.removeprefix("fovea>") for name in names}
            assert used - {"linear"} == {"silu" if value == "swish" else value}
        elif option == "normalisation":
            assert ("BatchNormalization" in kinds) == (value == "batch")
            assert ("GroupNormalization" in kinds) == (value in ("layer", "group"))
        elif option == "dropout" and "input_dropout" not in registry.known_options(
            name
        ):
            assert ("Dropout" in kinds) == (value > 0)
        elif option in ("l1", "l2"):
            kernels = [
                layer
                for layer in model.layers
                if hasattr(layer, "kernel") and layer.name != "theta"
            ]
            assert all(
                bool(layer.kernel_regularizer) == (value > 0) for layer in kernels
            )
        elif option == "pooling":
            own = registry.known_options(name)[option]
            if value not in ("max", own) and name != "googlenet":
                assert "MaxPooling2D" not in kinds
        elif option == "initialiser":
            kernels = {
                c["kernel_initializer"]["class_name"]
                for c in configs
                if "kernel_initializer" in c and c["name"] != "theta"
            }
            assert {k.lower() for k in kernels} == {value.replace("_", "")}


def test_every_initialiser_is_known_to_keras():
    for value in INITIALISERS:
        bare("lenet5", initialiser=value)


@pytest.mark.parametrize("option", STYLE_OPTIONS)
def test_style_options_are_offered_where_the_architecture_can_take_them(option):
    without = {name for name in NAMES if option not in registry.known_options(name)}
    flat = {"softmax_regression", "mlp"}
    residual = {name for name in NAMES if name.startswith(("resnet", "wrn"))}
    small = {name for name in residual if ARCHITECTURES[name].module == "resnet_cifar"}
    assert without == {
        "activation": {"softmax_regression"},
        "normalisation": {"softmax_regression"},
        # Nothing is pooled but at the end.
        "pooling": flat
        | small
        | {"locally_connected", "dilated", "alphago_policy", "wrn"},
        # What is added or laid side by side must be of one size.
        "padding": flat | residual | {"googlenet", "alphago_policy", "speednet"},
        "stride": flat | {"alphago_policy"},
    }.get(option, set())


def test_strided_pooling_is_a_convolution_of_the_same_window():
    pool = bare("vgg11", pooling="strided").get_layer("pool1")
    assert isinstance(pool, keras.layers.Conv2D)
    assert (pool.filters, pool.kernel_size, pool.strides) == (64, (2, 2), (2, 2))


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    "name", sorted({*FAMILIES.values()} - {"softmax_regression", "mlp"})
)
def test_says_the_smallest_size(name):
    with pytest.raises(
        ValueError, match=r"Received: input_shape=\(2, 90, 3\)$"
    ) as info:
        bare(name, (2, 90, 3))
    smallest = int(re.search(r"at least (\d+)", str(info.value))[1])
    bare(name, (smallest, 90, 3))
    with pytest.raises(ValueError, match=f"at least {smallest} "):
        bare(name, (90, smallest - 1, 3))


@pytest.mark.parametrize("name", FAMILIES.values())
@pytest.mark.parametrize(
    ("input_shape", "num_classes", "received"),
    [
        ((32, 32, 0), 10, "input_shape=(32, 32, 0)"),
        ((0, 32, 3), 10, "input_shape=(0, 32, 3)"),
        ((32, 32), 10, "input_shape=(32, 32)"),
        ((32, 32.0, 3), 10, "input_shape=(32, 32.0, 3)"),
        ((32, 32, None), 10, "input_shape=(32, 32, None)"),
        ((32, 32, 3), 0, "num_classes=0"),
        ((32, 32, 3), -1, "num_classes=-1"),
        ((32, 32, 3), True, "num_classes=True"),
    ],
)
def test_refuses_a_size(name, input_shape, num_classes, received):
    with pytest.raises(ValueError, match=re.escape(f"Received: {received}") + "$"):
        models.build(name, input_shape, num_classes)


@pytest.mark.parametrize(
    ("name", "options", "says", "received"),
    [
        ("lenet5", {"activaton": "relu"}, "mean activation?", "activaton=relu"),
        ("vgg16", {"depth": 11}, "Unknown option of vgg16", "depth=11"),
        ("lenet5", {"activation": "rely"}, "mean relu?", "activation=rely"),
        ("lenet5", {"activation": 3}, "must be one of", "activation=3"),
        ("lenet5", {"pooling": "maximum"}, "must be one of", "pooling=maximum"),
        ("lenet5", {"normalisation": "bath"}, "mean batch?", "normalisation=bath"),
        ("lenet5", {"initialiser": "he"}, "must be one of", "initialiser=he"),
        ("lenet5", {"padding": "some"}, "mean same?", "padding=some"),
        ("lenet5", {"dropout": 1.0}, "below 1", "dropout=1.0"),
        ("all_cnn_c", {"input_dropout": -1}, "at least 0", "input_dropout=-1"),
        ("lenet5", {"dropout": "half"}, "below 1", "dropout=half"),
        ("lenet5", {"l2": "x"}, "a number", "l2=x"),
        ("lenet5", {"l2": float("nan")}, "a number", "l2=nan"),
        ("lenet5", {"l1": -1}, "not be negative", "l1=-1"),
        ("lenet5", {"l2": -0.5}, "not be negative", "l2=-0.5"),
        ("lenet5", {"stride": 0}, "at least 1", "stride=0"),
        ("lenet5", {"stride": 1.5}, "whole number", "stride=1.5"),
        ("mlp", {"hidden": (30, 0)}, "at least 1", "hidden=0"),
        ("dilated", {"filters": 0}, "at least 1", "filters=0"),
        ("locally_connected", {"filters": 0}, "at least 1", "filters=0"),
        ("alphago_policy", {"filters": 0}, "at least 1", "filters=0"),
        ("vgg11", {"fc_units": -1}, "at least 1", "fc_units=-1"),
        ("alexnet", {"fc_units": 0}, "at least 1", "fc_units=0"),
        ("alexnet", {"towers": 3}, "one of 1, 2", "towers=3"),
        ("wrn", {"depth": 20}, "6n + 4", "depth=20"),
        ("wrn", {"width": 0}, "at least 1", "width=0"),
        # Combinations that cannot be
        ("vgg16", {"pooling": "none"}, "weights", "pooling=none"),
        ("lenet5", {"stride": 3}, "shrunk to", "pooling=average"),
        ("vgg16", {"padding": "valid"}, "shrunk to", "pooling=max"),
        ("alphago_policy", {"head": "moves"}, "1024 moves", "head=moves"),
        # ImageNet's options at CIFAR's size
        ("resnet50", {"stem": "imagenet"}, "at least 64x64", "stem=imagenet"),
        ("alexnet", {"stem": "imagenet"}, "at least 67x67", "stem=imagenet"),
        ("vgg16", {"stem": "imagenet"}, "at least 64x64", "stem=imagenet"),
        ("vgg16", {"stem": "imagnet"}, "mean imagenet?", "stem=imagnet"),
        ("resnet18", {"pooling": "max"}, "ImageNet stem", "pooling=max"),
        ("googlenet", {"auxiliary": True}, "ImageNet form", "auxiliary=True"),
    ],
)
def test_refuses_an_option(name, options, says, received):
    with pytest.raises(ValueError, match=re.escape(f"{received}") + "$") as info:
        bare(name, **options)
    assert says in str(info.value)
    assert "Received: " in str(info.value)


def test_refuses_a_name_and_suggests_the_nearest():
    with pytest.raises(
        ValueError, match=r"mean resnet20\?.*Received: model=resnet-20$"
    ):
        models.build("resnet-20", CIFAR, 10)


# --- training, saving, loading -----------------------------------------------


def train_one_step(name, shape, dtype, **how):
    keras.config.set_dtype_policy(dtype)
    model = models.build(name, shape, 10)
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **how,
    )
    before = model.get_weights()
    loss = model.train_on_batch(pictures(shape), np.arange(4))
    assert np.isfinite(loss)
    after = model.get_weights()
    assert all(np.isfinite(weight).all() for weight in after)
    keras.utils.clear_session()
    changed = [(a != b).any() for a, b in zip(before, after, strict=True)]
    # Of a spatial transformer's weights some see a gradient from step two on.
    assert np.mean(changed) > (0.5 if name == "stn" else 0.9)


def save_and_load(name, shape, path):
    model = models.build(name, shape, 10)
    model.save(path)
    loaded = keras.saving.load_model(path)
    images = pictures(shape)
    expected = model.predict_on_batch(images)
    np.testing.assert_allclose(loaded.predict_on_batch(images), expected, atol=1e-5)
    assert expected.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES.values())
def test_trains_one_step(name):
    if name in ("mlp", "locally_connected", "lenet5"):
        train_one_step(name, MNIST, "mixed_bfloat16", jit_compile=True)
    else:  # Compiling the others takes longer than all of these together.
        train_one_step(name, MNIST, "float32", run_eagerly=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES.values())
def test_survives_save_and_load(name, tmp_path):
    save_and_load(name, CIFAR, tmp_path / "model.keras")


@pytest.mark.matrix
@pytest.mark.parametrize("jit", [False, True], ids=["plain", "xla"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_trains_one_step_in_every_way(name, size, dtype, jit):
    train_one_step(name, SIZES[size], dtype, jit_compile=jit)


@pytest.mark.matrix
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_every_one_survives_save_and_load(name, size, tmp_path):
    save_and_load(name, SIZES[size], tmp_path / "model.keras")
