"""Requests with the answers that a C++ TensorFlow Serving 2.20 gave to them.

data/answers.jsonl holds the recordings; the models below are those that were served.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server.manager import Manager
from serving.server.models import Models
from serving.server.runner import Runner
from serving.server.services import ModelService, PredictionService
from serving.server.versions import AspiredVersion

ANSWERS = Path(__file__).parent / "data" / "answers.jsonl"
RECORDED = [json.loads(line) for line in ANSWERS.read_text().splitlines()]
REQUESTS = {
    "Predict": predict_pb2.PredictRequest,
    "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
}
DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("bool", "string"),
)


def write_affine(tf, path, offset):
    class Affine(tf.Module):
        def __init__(self):
            super().__init__()
            self.half = tf.Variable(0.5, name="half")
            self.offset = tf.Variable(float(offset), name="offset")

        def parse(self, examples):
            spec = {"x": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0])}
            return tf.io.parse_example(examples, spec)["x"]

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def predict(self, x):
            return {"y": x * self.half + self.offset}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
        def regress(self, inputs):
            return {"outputs": self.parse(inputs) * self.half + self.offset}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
        def classify(self, inputs):
            y = self.parse(inputs) * self.half + self.offset
            classes = tf.tile(tf.constant([["up", "down"]]), [tf.shape(y)[0], 1])
            return {"classes": classes, "scores": tf.concat([y, -y], axis=1)}

    module = Affine()
    signatures = {
        "serving_default": module.predict,
        "regress_x": module.regress,
        "classify_x": module.classify,
    }
    tf.saved_model.save(module, str(path), signatures=signatures)
    utils = tf.compat.v1.saved_model.signature_def_utils
    updater = utils.MethodNameUpdater(str(path))
    for method in ("regress", "classify"):
        updater.replace_method_name(
            signature_key=f"{method}_x",
            method_name=f"tensorflow/serving/{method}",
            tags="serve",
        )
    updater.save()


def write_two_inputs(tf, path):
    class TwoInputs(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 2], tf.float32, name="a"),
                tf.TensorSpec([None, 2], tf.float32, name="b"),
            ]
        )
        def both(self, a, b):
            return {"sum": a + b, "product": a * b, "total": tf.reduce_sum(a)}

    module = TwoInputs()
    tf.saved_model.save(module, str(path), signatures=module.both)


def write_echo(tf, path):
    module, signatures = tf.Module(), {}
    for name in DTYPES:
        spec = tf.TensorSpec(None, tf.dtypes.as_dtype(name), name="x")
        signatures[name] = tf.function(
            lambda x: {"x": tf.identity(x)}, input_signature=[spec]
        )
        setattr(module, f"f_{name}", signatures[name])
    tf.saved_model.save(module, str(path), signatures=signatures)


@pytest.fixture(scope="module")
def stubs(kit, tmp_path_factory):
    """All models behind the real services on a real socket."""
    root = tmp_path_factory.mktemp("answers")
    for version in (1, 2):
        write_affine(kit.tf, root / "affine" / str(version), version + 1)
    write_two_inputs(kit.tf, root / "two_inputs" / "1")
    write_echo(kit.tf, root / "echo" / "7")
    manager = Manager(lambda aspired: Runner(aspired.path))
    manager.labels.assign([], manager.is_available, allow_unavailable=False)
    for model in sorted(root.iterdir()):
        versions = [AspiredVersion(int(v.name), v, ()) for v in model.iterdir()]
        manager.aspire(model.name, versions)
    for model in sorted(root.iterdir()):
        manager.wait_until_available([model.name])
    kit.until(lambda: len(ready(manager, "affine")) == 2)

    server = grpc.server(ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(manager), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(manager, Models(manager)), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield kit.Stubs(channel)
    server.stop(None).wait()
    assert manager.close(30)


def ready(manager, model):
    return [s for s in manager.statuses(model) if s.state.name == "AVAILABLE"]


def plain(text):
    """Without the numbers that TensorFlow counts up in the names of functions."""
    return re.sub(r"(__inference_\w+?_)\d+", r"\1N", text)


def alike(recorded, got):
    if isinstance(recorded, dict):
        return recorded.keys() == got.keys() and all(
            alike(value, got[key]) for key, value in recorded.items()
        )
    if isinstance(recorded, list):
        return len(recorded) == len(got) and all(map(alike, recorded, got))
    if isinstance(recorded, float):
        return got == pytest.approx(recorded, rel=1e-5)
    return recorded == got


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["id"])
def test_the_answer_is_that_of_the_original(stubs, recorded):
    service, rpc = recorded["rpc"].split("/")
    stub = stubs.prediction if service == "PredictionService" else stubs.model
    request = json_format.ParseDict(recorded["request"], REQUESTS[rpc]())
    try:
        reply = getattr(stub, rpc)(request, timeout=30)
    except grpc.RpcError as error:
        assert error.code().name == recorded["code"]
        got, expected = plain(error.details()), plain(recorded["details"])
        if "{node" in expected and "Incompatible shapes" in expected:
            # Two operations fail; which one is first is up to the executor.
            got, expected = got.partition("\n")[0], expected.partition("\n")[0]
        assert got == expected
    else:
        assert recorded["code"] == "OK"
        got = json_format.MessageToDict(reply, preserving_proto_field_name=True)
        assert alike(recorded["response"], got), got
