"""The error texts are those of TensorFlow's own kernels, without oneDNN."""

import os
import re

import numpy as np
import pytest

from fovea.serving.server.errors import ServingError
from fovea.serving.server.saved_model.session_runner import Runner

SIGNATURES = {
    "plain": lambda tf, x, w: tf.nn.conv2d(x, w["conv"], 1, "SAME"),
    "bias": lambda tf, x, w: tf.tanh(
        tf.nn.bias_add(tf.nn.conv2d(x, w["conv"], 1, "SAME"), w["bias"])
    ),
    "relu": lambda tf, x, w: tf.nn.relu(
        tf.nn.bias_add(tf.nn.conv2d(x / 255.0, w["conv"], 1, "SAME"), w["bias"])
    ),
    "unfused": lambda tf, x, w: tf.nn.relu(tf.nn.conv2d(x, w["conv"], 1, "SAME")),
    "norm": lambda tf, x, w: tf.nn.relu(
        tf.compat.v1.nn.fused_batch_norm(
            tf.nn.conv2d(x, w["conv"], 1, "SAME"),
            *[w["bias"]] * 4,
            is_training=False,
        )[0]
    ),
    "depthwise": lambda tf, x, w: tf.nn.depthwise_conv2d(
        x, w["depthwise"], [1, 1, 1, 1], "SAME"
    ),
    "pooled": lambda tf, x, w: tf.nn.conv2d(
        tf.nn.max_pool2d(x, 2, 2, "SAME"), w["conv"], 1, "SAME"
    ),
}


@pytest.fixture(scope="module")
def runner(kit, tmp_path_factory):
    tf, module, signatures = kit.tf, kit.tf.Module(), {}
    module.weights = {
        "conv": tf.Variable(tf.ones([3, 3, 2, 4])),
        "depthwise": tf.Variable(tf.ones([3, 3, 2, 1])),
        "bias": tf.Variable(tf.ones([4])),
    }

    def signature(network):
        return tf.function(
            lambda x: {"y": network(tf, x, module.weights)},
            input_signature=[tf.TensorSpec([None, 8, 8, 2], tf.float32, name="x")],
        )

    for name, network in SIGNATURES.items():
        signatures[name] = signature(network)
        setattr(module, name, signatures[name])
    path = tmp_path_factory.mktemp("ranks") / "1"
    tf.saved_model.save(module, str(path), signatures=signatures)
    runner = Runner(path)
    yield runner
    runner.close()


def run(runner, name, x):
    signature = runner.signatures[name]
    feeds = {signature.inputs["x"].name: x}
    return runner.run(feeds, [signature.outputs["y"].name])[0]


def rejection(runner, name, x):
    with pytest.raises(ServingError) as error:
        run(runner, name, x)
    return re.sub(r"function_node [^}]+_\d+}", "function_node F}", str(error.value))


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("plain", "Conv2D"),
        ("bias", "BiasAdd"),
        ("relu", "Relu"),
        ("unfused", "Conv2D"),
        ("norm", "Relu"),
    ],
)
def test_the_operation_that_would_have_failed_is_named(runner, name, node):
    assert rejection(runner, name, np.ones((8, 8, 2), np.float32)) == (
        "INVALID_ARGUMENT: convolution input must be 4-dimensional: [8,8,2]\n"
        f"\t [[{{{{function_node F}}}}{{{{node {node}}}}}]]"
    )


def test_a_depthwise_convolution_has_another_error_text(runner):
    assert rejection(runner, "depthwise", np.ones((1, 1, 8, 8, 2), np.float32)) == (
        "INVALID_ARGUMENT: input must be 4-dimensional[1,1,8,8,2]\n"
        "\t [[{{function_node F}}{{node depthwise}}]]"
    )


@pytest.mark.skipif(
    os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0", reason="nothing aborts without it"
)
def test_behind_other_operations_the_error_names_the_input(runner):
    assert rejection(runner, "pooled", np.ones((8, 8, 2), np.float32)) == (
        "INVALID_ARGUMENT: convolution input must be 4-dimensional: [8,8,2]\n"
        "\t [[{{node pooled_x}}]]"
    )


def test_the_dtype_is_checked_before_the_rank(runner):
    assert rejection(runner, "plain", np.ones((8, 8, 2), np.int32)) == (
        "INVALID_ARGUMENT: Expects arg[0] to be float but int32 is provided"
    )


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_expected_rank_is_accepted(runner, name):
    assert run(runner, name, np.ones((2, 8, 8, 2), np.float32)).ndim == 4
