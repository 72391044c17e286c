"""AlexNet's two towers."""

import pytest

from fovea import models
from fovea.models.anatomy.without_weights import without_weights


def build(input_shape=(227, 227, 3), num_classes=1000, **options):
    with without_weights():
        return models.build("alexnet", input_shape, num_classes, **options)


def test_one_tower_is_the_ungrouped_network():
    assert build(towers=1).count_params() == 62_378_344


@pytest.mark.parametrize(
    ("layer", "shape", "parameters"),
    [
        ("conv1_top", (55, 55, 48), 34_944 // 2),
        ("pool1_top", (27, 27, 48), 0),
        ("conv2_bottom", (27, 27, 128), 307_456 // 2),
        ("pool2_bottom", (13, 13, 128), 0),
        ("cross", (13, 13, 256), 0),
        ("conv3_top", (13, 13, 192), 885_120 // 2),
        ("conv4_top", (13, 13, 192), 663_936 // 2),
        ("conv5_bottom", (13, 13, 128), 442_624 // 2),
        ("pool5_bottom", (6, 6, 128), 0),
        ("flatten", (9216,), 0),
        ("fc6", (4096,), 37_752_832),
        ("fc7", (4096,), 16_781_312),
        ("logits", (1000,), 4_097_000),
    ],
)
def test_has_the_papers_shapes(layer, shape, parameters):
    layer = build().get_layer(layer)
    assert layer.output.shape[1:] == shape
    assert layer.count_params() == parameters


def test_a_towers_layer_sees_its_own_tower_but_for_conv3():
    model = build()

    def sources(name):
        return model.get_layer(name).input

    assert sources("conv2_top") is model.get_layer("pool1_top").output
    assert sources("conv3_top") is model.get_layer("cross").output
    assert sources("conv3_bottom") is model.get_layer("cross").output
    assert sources("conv4_top") is model.get_layer("conv3_top").output


def test_normalises_responses_after_conv1_and_conv2_or_otherwise_everywhere():
    names = [layer.name for layer in build().layers]
    assert [name for name in names if "norm" in name] == [
        "normalisation",
        "norm1_top",
        "norm1_bottom",
        "norm2_top",
        "norm2_bottom",
    ]
    batch = [layer.name for layer in build(towers=1, normalisation="batch").layers]
    assert "norm1" not in batch
    assert {"conv1_norm", "conv5_norm", "fc7_norm"} <= set(batch)
