import shutil

import pytest
from google.protobuf import json_format
from tensorflow_serving.apis import prediction_log_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.saved_model.session_runner import Runner
from fovea.serving.server.warmup import WARMUP_FILE, warm_up


@pytest.fixture
def version(toys, tmp_path):
    return shutil.copytree(toys[1], tmp_path / "1")


@pytest.fixture(scope="module")
def runner(toys):
    runner = Runner(toys[1])
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def example_runner(kit, tmp_path_factory):
    """A model that takes tf.Examples: every class is "up", every score 0.5."""
    tf, path = kit.tf, tmp_path_factory.mktemp("examples") / "1"
    module = tf.Module()
    examples = [tf.TensorSpec([None], tf.string, name="inputs")]

    @tf.function(input_signature=examples)
    def classify(inputs):
        classes = tf.tile([["up"]], [tf.shape(inputs)[0], 1])
        return {"classes": classes, "scores": tf.fill(tf.shape(classes), 0.5)}

    @tf.function(input_signature=examples)
    def regress(inputs):
        return {"outputs": tf.fill(tf.shape(inputs), 0.5)}

    module.classify, module.regress = classify, regress
    signatures = {"serving_default": classify, "regress": regress}
    tf.saved_model.save(module, str(path), signatures=signatures)
    runner = Runner(path)
    yield runner
    runner.close()


def log_of(text):
    return json_format.ParseDict(text, prediction_log_pb2.PredictionLog())


EXAMPLE = {"example_list": {"examples": [{}]}}
CLASSIFY = {"classify_log": {"request": {"input": EXAMPLE}}}
REGRESS = {
    "regress_log": {
        "request": {"model_spec": {"signature_name": "regress"}, "input": EXAMPLE}
    }
}
MULTI = {
    "multi_inference_log": {
        "request": {
            "tasks": [
                {
                    "model_spec": {"name": "any", "signature_name": "regress"},
                    "method_name": "tensorflow/serving/regress",
                }
            ],
            "input": EXAMPLE,
        }
    }
}


def failure(runner, version):
    with pytest.raises(ServingError) as error:
        warm_up(runner, version, 1)
    return str(error.value)


def test_a_missing_file_is_not_an_error(runner, version):
    assert warm_up(runner, version, 1) == 0


def test_predict_logs_are_replayed_whatever_model_they_name(kit, runner, version):
    log = kit.predict_log(kit.predict_request("another", x=[1.0]))
    kit.write_warmup(version, log, log)
    assert warm_up(runner, version, 1) == 2


def test_each_record_may_be_replayed_several_times(kit, runner, version, monkeypatch):
    ran = []
    run = runner.run
    monkeypatch.setattr(runner, "run", lambda *a: ran.append(a) or run(*a))
    kit.write_warmup(version, kit.predict_log(kit.predict_request(x=[1.0])))
    assert warm_up(runner, version, 1, rounds=3) == 1
    assert len(ran) == 3


def test_a_request_that_fails_fails_the_load(kit, runner, version):
    kit.write_warmup(version, kit.predict_log(kit.predict_request(x=["text"])))
    assert failure(runner, version) == (
        "INVALID_ARGUMENT: Expects arg[0] to be float but string is provided"
    )


def test_at_most_1000_records(kit, runner, version):
    log = kit.predict_log(kit.predict_request(x=[1.0]))
    kit.write_warmup(version, *[log] * 1001)
    assert failure(runner, version) == (
        "INVALID_ARGUMENT: Number of warmup records exceeds the maximum (1000) at "
        f"{version / WARMUP_FILE}"
    )


def test_logs_of_examples_are_replayed(kit, example_runner, version):
    kit.write_warmup(version, *map(log_of, (CLASSIFY, REGRESS, MULTI)))
    assert warm_up(example_runner, version, 1) == 3


@pytest.mark.parametrize(
    ("log", "text"),
    [
        (CLASSIFY, "No classification inputs found in SignatureDef: "),
        (REGRESS, "No signature was found with the name: regress"),
        (MULTI, "Requested signature not found in model graph: regress"),
    ],
)
def test_logs_of_examples_that_fail_fail_the_load(kit, runner, version, log, text):
    kit.write_warmup(version, log_of(log))
    assert failure(runner, version).startswith(f"INVALID_ARGUMENT: {text}")


@pytest.mark.parametrize(
    ("kind", "number"), [("session_run_log", 5), ("predict_streamed_log", 7)]
)
def test_logs_that_are_not_for_warm_up(kit, runner, version, kind, number):
    kit.write_warmup(version, log_of({kind: {}}))
    assert failure(runner, version) == (
        f"UNIMPLEMENTED: Unsupported log_type for warmup: {number}"
    )


def test_an_empty_record_runs_nothing(kit, runner, version):
    kit.write_warmup(version, log_of({}))
    assert warm_up(runner, version, 1) == 1


def test_files_that_are_not_warmup_records(kit, runner, version):
    kit.write_warmup(version)
    (version / WARMUP_FILE).write_bytes(b"neither length nor checksum")
    text = failure(runner, version)
    assert text.startswith("DATA_LOSS: ")
    assert text.endswith("Please verify your warmup data is in TFRecord format.")

    class Garbage:
        def SerializeToString(self):
            return b"\xff\xff"

    kit.write_warmup(version, Garbage())
    assert failure(runner, version) == (
        r"INVALID_ARGUMENT: Failed to parse warmup record: b'\xff\xff' from "
        f"{version / WARMUP_FILE}"
    )
