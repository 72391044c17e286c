"""GoogLeNet's modules and auxiliary heads."""

import keras
import numpy as np
import pytest

from fovea import models
from fovea.models.anatomy.without_weights import without_weights
from fovea.models.zoo.googlenet import googlenet


def build(input_shape=(224, 224, 3), num_classes=1000, **options):
    with without_weights():
        return models.build("googlenet", input_shape, num_classes, **options)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1", (112, 112, 64)),
        ("pool1", (56, 56, 64)),
        ("conv2", (56, 56, 192)),
        ("pool2", (28, 28, 192)),
        ("inception_3a_output", (28, 28, 256)),
        ("inception_3b_output", (28, 28, 480)),
        ("inception_4a_output", (14, 14, 512)),
        ("inception_4d_output", (14, 14, 528)),
        ("inception_4e_output", (14, 14, 832)),
        ("inception_5a_output", (7, 7, 832)),
        ("inception_5b_output", (7, 7, 1024)),
        ("pool5", (1024,)),
    ],
)
def test_has_the_papers_shapes(layer, shape):
    assert build().get_layer(layer).output.shape[1:] == shape


def test_auxiliary_heads_are_additional_outputs():
    model = build(auxiliary=True)
    assert model.count_params() == 13_378_280
    assert sorted(model.output_names) == ["auxiliary1", "auxiliary2", "logits"]
    assert model.get_layer("auxiliary1_pool").output.shape == (None, 4, 4, 512)
    assert model.get_layer("auxiliary2_pool").output.shape == (None, 4, 4, 528)
    served = keras.Model(model.input, model.get_layer("logits").output)
    assert served.count_params() == build().count_params()


@pytest.mark.slow
def test_trains_with_auxiliary_heads():
    model = googlenet((65, 65, 1), 3, auxiliary=True)
    heads = ["logits", "auxiliary1", "auxiliary2"]
    losses = {
        head: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        for head in heads
    }
    weights = {"logits": 1.0, "auxiliary1": 0.3, "auxiliary2": 0.3}
    model.compile("sgd", losses, loss_weights=weights, run_eagerly=True)
    before = model.get_layer("auxiliary1_fc").get_weights()[0]
    labels = np.array([0, 2])
    images = np.random.default_rng(0).integers(0, 256, (2, 65, 65, 1), "uint8")
    logs = model.train_on_batch(images, dict.fromkeys(heads, labels), return_dict=True)
    assert logs["loss"] == pytest.approx(
        sum(weights[head] * logs[f"{head}_loss"] for head in heads), rel=1e-3
    )
    assert (model.get_layer("auxiliary1_fc").get_weights()[0] != before).any()


def test_cifar_form_keeps_places():
    model = build((32, 32, 3), 10)
    shapes = [
        model.get_layer(f"inception_{m}_output").output.shape[1]
        for m in ("3a", "4a", "5a")
    ]
    assert shapes == [16, 8, 4]
