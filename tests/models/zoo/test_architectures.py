"""Properties of single architectures, of those with few of them."""

import keras
import numpy as np
import pytest

from fovea import models
from fovea.models.anatomy.without_weights import without_weights


def bare(name, input_shape=(32, 32, 3), num_classes=10, **options):
    with without_weights():
        return models.build(name, input_shape, num_classes, **options)


def pictures(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def shapes(model, *names):
    return [tuple(model.get_layer(name).output.shape[1:]) for name in names]


def test_lenet_has_the_papers_shapes_also_with_mnists_smaller_images():
    for size in (32, 28):
        model = bare("lenet5", (size, size, 1))
        assert model.count_params() == 61_706
        assert shapes(model, "c1", "s2", "c3", "s4", "c5", "f6") == [
            (28, 28, 6),
            (14, 14, 6),
            (10, 10, 16),
            (5, 5, 16),
            (1, 1, 120),
            (84,),
        ]


def test_locally_connected_has_the_papers_units_and_weights():
    model = bare("locally_connected", (16, 16, 1), filters=1)
    assert [model.get_layer(n).count_params() for n in ("h1", "h2", "logits")] == [
        640,
        416,
        170,
    ]
    assert shapes(model, "h1", "h2") == [(8, 8, 1), (4, 4, 1)]


def test_mlp_takes_any_number_of_hidden_layers():
    assert bare("mlp", (28, 28, 1), hidden=()).count_params() == 7_850
    assert bare("mlp", (28, 28, 1), hidden=300).count_params() == 238_510
    deep = bare("mlp", (28, 28, 1), hidden=[2500, 2000, 1500, 1000, 500])
    assert deep.get_layer("fc5").units == 500


def test_vgg_halves_five_times():
    model = bare("vgg19", (224, 224, 3), 1000)
    pools = [f"pool{stage}" for stage in range(1, 6)]
    sizes = [shape[0] for shape in shapes(model, *pools)]
    assert sizes == [112, 56, 28, 14, 7]
    assert shapes(model, "conv5_4") == [(14, 14, 512)]


def test_vgg_normalises_at_cifars_size_and_not_in_the_papers_form():
    def kinds(model):
        return {type(layer).__name__ for layer in model.layers}

    assert "BatchNormalization" in kinds(bare("vgg11"))
    assert "BatchNormalization" not in kinds(bare("vgg11", (224, 224, 3)))
    assert "BatchNormalization" not in kinds(bare("vgg11", normalisation="none"))


def test_resnet_has_the_papers_shapes():
    model = bare("resnet50", (224, 224, 3), 1000)
    assert shapes(
        model, "conv1", "pool1", "conv2_3_act", "conv3_4_act", "conv4_6_act"
    ) == [(112, 112, 64), (56, 56, 64), (56, 56, 256), (28, 28, 512), (14, 14, 1024)]
    assert shapes(model, "conv5_3_act", "pool5") == [(7, 7, 2048), (2048,)]
    # The stride is in the first 1x1 convolution, as in the paper.
    assert model.get_layer("conv3_1_a").strides == (2, 2)
    assert model.get_layer("conv3_1_b").strides == (1, 1)


@pytest.mark.parametrize(("size", "form"), [(63, "cifar"), (64, "imagenet")])
def test_resnets_stem_depends_on_the_image_size(size, form):
    chosen = bare("resnet18", (size, size, 3)).get_layer("conv1").kernel_size
    requested = bare("resnet18", (96, 96, 3), stem=form).get_layer("conv1").kernel_size
    assert chosen == requested == ((7, 7) if form == "imagenet" else (3, 3))


def test_cifar_resnets_count_layers_as_the_paper_does():
    for depth in (20, 32, 44, 56, 110):
        layers = bare(f"resnet{depth}").layers
        with_weights = [each for each in layers if hasattr(each, "kernel")]
        assert len(with_weights) == depth


def test_wide_resnet_counts_layers_as_the_paper_does():
    layers = bare("wrn", depth=28, width=2).layers
    # Convolutions, the projections among them; not the logits' layer.
    assert sum(isinstance(each, keras.layers.Conv2D) for each in layers) == 28
    assert bare("wrn", depth=16, width=4).count_params() == pytest.approx(
        2.7e6, rel=0.03
    )
    assert bare("wrn", depth=16, width=8).count_params() == pytest.approx(
        11.0e6, rel=0.01
    )
    assert bare("wrn", depth=40, width=4).count_params() == pytest.approx(
        8.9e6, rel=0.01
    )


def test_all_cnn_ends_at_six_by_six():
    model = bare("all_cnn_c")
    assert shapes(model, "pool1", "pool2", "conv5", "conv7", "logits") == [
        (16, 16, 96),
        (8, 8, 192),
        (6, 6, 192),
        (6, 6, 10),
        (10,),
    ]


def test_nin_averages_eight_by_eight_maps():
    model = bare("nin")
    assert shapes(model, "pool1", "pool2", "cccp6") == [
        (16, 16, 96),
        (8, 8, 192),
        (8, 8, 10),
    ]


def test_fcn_gives_its_weights_to_any_image_size():
    small = models.build("fcn", (32, 32, 3), 4)
    free = models.build("fcn", (None, None, 3), 4, class_map=True)
    free.set_weights(small.get_weights())
    for height, width in ((32, 32), (40, 67)):
        images = pictures(2, height, width, 3)
        outputs = free(images)
        scores = np.asarray(outputs["class_map"])
        assert scores.shape == (2, -(-height // 8), -(-width // 8), 4)
        np.testing.assert_allclose(
            outputs["logits"], scores.mean((1, 2)), atol=1e-4, rtol=1e-4
        )
    images = pictures(2, 32, 32, 3)
    np.testing.assert_allclose(free(images)["logits"], small(images), atol=1e-5)


def test_stn_begins_with_the_identity():
    model = models.build("stn", (28, 28, 1), 10)
    inside = keras.Model(
        model.input,
        [model.get_layer(name).output for name in ("normalisation", "transformer")],
    )
    before, after = inside(pictures(2, 28, 28, 1))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_dilated_sees_67_pixels_at_full_resolution():
    # A context module of ones on a single bright pixel lights up what sees it.
    model = models.build("dilated", (81, 81, 1), 2, filters=1, activation="relu")
    for index in range(1, 8):
        layer = model.get_layer(f"context{index}")
        layer.set_weights([np.ones_like(weight) for weight in layer.get_weights()])
        layer.bias.assign([0.0])
    context = keras.Model(
        model.get_layer("front").output, model.get_layer("context7").output
    )
    pixel = np.zeros((1, 81, 81, 1), "float32")
    pixel[0, 40, 40] = 1
    lit = np.asarray(context(pixel))[0, 40, :, 0] > 0
    assert lit.sum() == 67


def test_alphago_moves_have_their_points_and_a_bias_each():
    model = models.build("alphago_policy", (5, 6, 2), 30, filters=4)
    assert shapes(model, "conv1", "conv12", "conv13", "logits") == [
        (5, 6, 4),
        (5, 6, 4),
        (5, 6, 1),
        (30,),
    ]
    assert model.get_layer("logits").count_params() == 30
    classes = bare("alphago_policy", (19, 19, 48), 361, head="classes")
    assert shapes(classes, "conv13") == [(19, 19, 361)]


def test_alphago_sees_planes_as_zeros_and_ones():
    model = models.build("alphago_policy", (5, 5, 2), 25, filters=4)
    planes = 255 * (pictures(1, 5, 5, 2) > 127).astype("uint8")
    scaled = np.asarray(model.get_layer("normalisation")(planes))
    assert set(np.unique(scaled)) == {0.0, 1.0}
