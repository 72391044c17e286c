import shutil

import pytest
from tensorflow_serving.apis import classification_pb2, prediction_log_pb2

from serving.server.errors import ServingError
from serving.server.runner import Runner
from serving.server.warmup import WARMUP_FILE, warm_up


@pytest.fixture
def version(toys, tmp_path):
    return shutil.copytree(toys[1], tmp_path / "1")


@pytest.fixture(scope="module")
def runner(toys):
    runner = Runner(toys[1])
    yield runner
    runner.close()


def failure(runner, version):
    with pytest.raises(ServingError) as error:
        warm_up(runner, version, 1)
    return str(error.value)


def test_no_file_is_fine(runner, version):
    assert warm_up(runner, version, 1) == 0


def test_predict_logs_are_replayed_whatever_model_they_name(kit, runner, version):
    log = kit.predict_log(kit.predict_request("another", x=[1.0]))
    kit.write_warmup(version, log, log)
    assert warm_up(runner, version, 1) == 2


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


def test_logs_of_other_kinds(kit, runner, version):
    session_run = prediction_log_pb2.PredictionLog(
        session_run_log=prediction_log_pb2.SessionRunLog()
    )
    kit.write_warmup(version, session_run)
    assert failure(runner, version).startswith(
        "UNIMPLEMENTED: Unsupported log_type for warmup: "
    )
    classify = prediction_log_pb2.PredictionLog(
        classify_log=prediction_log_pb2.ClassifyLog(
            request=classification_pb2.ClassificationRequest()
        )
    )
    kit.write_warmup(version, classify)
    assert warm_up(runner, version, 1) == 0


def test_files_that_are_none(kit, runner, version):
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
