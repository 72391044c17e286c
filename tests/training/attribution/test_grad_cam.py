"""Grad-CAM by hand, on nets with known weights, and its choice of the layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from fovea import models
from fovea.training.attribution import inputs, maps
from fovea.training.attribution.grad_cam import explainer, grad_cam, method

# Four squares of 2x2 pixels, whose sums are 4, 8, 12, 0 and whose left columns
# weigh 4, 2, 0, 0 more than their right ones.
IMAGE = np.array(
    [[2, 0, 2, 2], [2, 0, 3, 1], [3, 3, 0, 0], [3, 3, 0, 0]], np.uint8
).reshape(1, 4, 4, 1)


@pytest.fixture(scope="module")
def net():
    """Sum and difference of 2x2 squares, ReLU, then a weight for each unit."""
    images = layers.Input((4, 4, 1), dtype="uint8")
    x = layers.Rescaling(1.0)(images)
    x = layers.Conv2D(2, 2, strides=2, use_bias=False, name="squares")(x)
    x = layers.Activation("relu", name="squares_act")(x)
    x = layers.Flatten()(x)
    model = keras.Model(images, layers.Dense(2, use_bias=False, name="logits")(x))
    filters = np.stack([np.ones((2, 2)), [[1, -1], [1, -1]]], axis=-1)
    model.get_layer("squares").set_weights([filters.reshape(2, 2, 1, 2)])
    # (row, column, map, class): class 1 weighs the sum by 1 on average, and the
    # difference by -2; class 0 has negative weights for both.
    weights = np.zeros((2, 2, 2, 2))
    weights[:, :, 0, 1] = [[4, 0], [0, 0]]
    weights[:, :, 1, 1] = [[0, -8], [0, 0]]
    weights[..., 0] = -1
    model.get_layer("logits").set_weights([weights.reshape(8, 2)])
    return model


def test_a_map_equals_the_paper_s_equations_by_hand(net):
    # Maps [[4, 8], [12, 0]] and [[4, 2], [0, 0]]. The difference of the upper right
    # square is 2 > 0, so all of its ReLU's gradient passes: means 4 / 4 and -8 / 4.
    # 1 * [[4, 8], [12, 0]] - 2 * [[4, 2], [0, 0]] = [[-4, 4], [12, 0]], no less
    # than 0, by its largest value: [[0, 1/3], [1, 0]].
    # The squares' centres are at 0.5 and 2.5: pixels 1 and 2 lie a quarter from them.
    spread = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    expected = spread @ np.array([[0, 1 / 3], [1, 0]]) @ spread.T
    np.testing.assert_allclose(grad_cam(net, IMAGE, 1)[0], expected, atol=1e-6)
    assert method(net) == "Grad-CAM on the maps of squares_act"


def test_without_evidence_for_a_class_the_map_is_empty(net):
    assert not grad_cam(net, IMAGE, [0]).any()


def test_a_layer_before_its_activation_has_different_maps(net):
    before = grad_cam(net, IMAGE, 1, layer="squares")
    assert before.shape == (1, 4, 4)
    with pytest.raises(ValueError, match=r"squares, squares_act\. .*layer=logits"):
        grad_cam(net, IMAGE, layer="logits")


def test_the_predicted_class_is_explained_unless_another_is_given(net):
    both = np.concatenate([IMAGE, IMAGE.transpose(0, 2, 1, 3)])
    predicted = net.predict(both, verbose=0).argmax(axis=1)
    assert np.array_equal(grad_cam(net, both), grad_cam(net, both, predicted))


def test_the_graph_and_eager_calls_agree(net):
    explain = explainer(net)
    spec = tf.TensorSpec((None, 4, 4, 1), tf.uint8)
    traced = tf.function(explain, input_signature=[spec])
    logits, _, heat = traced(IMAGE)
    np.testing.assert_allclose(heat, grad_cam(net, IMAGE), atol=1e-6)
    np.testing.assert_allclose(logits, net.predict(IMAGE, verbose=0), atol=1e-6)


def test_models_without_convolutions_have_no_maps():
    mlp = models.build("mlp", (4, 4, 1), 2)
    for call in (lambda: grad_cam(mlp, IMAGE), lambda: method(mlp)):
        with pytest.raises(ValueError, match="Received: mlp, which has no convolution"):
            call()


@pytest.mark.parametrize(
    ("name", "shape", "layer"),
    [
        ("lenet5", (28, 28, 1), "c3"),
        ("resnet20", (32, 32, 3), "conv4_3_act"),  # with its shortcut
        ("speednet", (32, 32, 3), "conv3_1"),  # conv3_2 has 3x3 units
        ("stn", (28, 28, 1), "conv2"),
    ],
)
def test_the_last_convolution_is_chosen_with_its_activation(name, shape, layer):
    model = models.build(name, shape, 10)
    chosen = maps.layer_of(model)
    assert chosen.name == layer
    image = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
    heat = grad_cam(model, image)
    assert heat.shape == (1, *shape[:2])
    assert np.isfinite(heat).all()
    assert heat.min() >= 0 and heat.max() <= 1


def test_a_map_is_aligned_with_the_units_receptive_fields():
    """A unit's heat is centred on the pixels that affect the unit."""
    model = models.build("lenet5", (28, 28, 1), 10)
    # Filters with symmetric weights: no side weighs more.
    model.set_weights([np.full_like(each, 0.01) for each in model.get_weights()])
    rows, columns = maps.enlarging(maps.layer_of(model), 28, 28)
    units = inputs.graph(model, ["c3"])
    for unit in ((2, 3), (6, 4)):
        pixels = tf.zeros((1, 28, 28, 1))
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            response = tf.reduce_sum(units(pixels)[0][:, unit[0], unit[1]])
        seen = np.abs(tape.gradient(response, pixels).numpy()[0, ..., 0])
        heat = np.outer(rows[:, unit[0]], columns[:, unit[1]])
        place = np.indices(heat.shape).reshape(2, -1)
        middles = [
            np.average(place, axis=1, weights=each.ravel()) for each in (seen, heat)
        ]
        np.testing.assert_allclose(*middles, atol=0.2)


@pytest.mark.parametrize(
    ("images", "class_ids", "sentence"),
    [
        (IMAGE / 255, None, r"takes uint8 images of shape \(N, 4, 4, 1\)"),
        (IMAGE[0], None, r"Received: uint8 of shape \(4, 4, 1\)"),
        (IMAGE, 2, "class ids of .* are 0 to 1. Received: class_ids=2"),
        (IMAGE, [0, 1], "one class id for each image, or one for all"),
        (IMAGE, [0.5], "one class id for each image, or one for all"),
    ],
)
def test_inputs_that_cannot_be_explained_raise(net, images, class_ids, sentence):
    with pytest.raises(ValueError, match=sentence):
        grad_cam(net, images, class_ids)


def test_no_images_give_no_maps(net):
    assert grad_cam(net, IMAGE[:0]).shape == (0, 4, 4)
