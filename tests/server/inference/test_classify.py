"""Labels of Classify that a message cannot hold, which the recordings lack."""

import pytest
from tensorflow_serving.apis import classification_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.inference.classify import classify
from fovea.serving.server.saved_model.session_runner import Runner


def test_a_label_that_is_not_text(kit, tmp_path):
    tf, module = kit.tf, kit.tf.Module()
    module.classify = tf.function(
        lambda inputs: {"classes": tf.constant([[b"\xff"]])},
        input_signature=[tf.TensorSpec([None], tf.string, name="inputs")],
    )
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.classify)
    runner = Runner(tmp_path / "1")
    request = classification_pb2.ClassificationRequest()
    request.input.example_list.examples.add()
    with pytest.raises(ServingError, match="is not UTF-8"):
        classify(runner, 1, request)
    runner.close()
