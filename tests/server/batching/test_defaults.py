"""The server with --enable_batching and default parameters."""

import concurrent.futures
import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RECORDED = Path(__file__).parent / "data" / "metrics.txt"
SECONDS = 60


@pytest.fixture(scope="module")
def served(serve, kit, toys, tmp_path_factory):
    root = tmp_path_factory.mktemp("defaults")
    shutil.copytree(toys[1], root / "toy" / "1")
    log = kit.predict_log(kit.predict_request("toy", x=[1.0, 2.0, 3.0, 4.0]))
    kit.write_warmup(root / "toy" / "1", log)
    # This file is not read without --enable_per_model_batching_parameters.
    (root / "toy" / "1" / "batching_params.pbtxt").write_text("nonsense")
    with serve(root, "--grpc_max_threads=32") as served:
        yield served


def test_the_metrics_page_is_the_recorded_one(served):
    """It was recorded after three REST requests of two rows and three gRPC ones of one.

    Warm-up requests are batched as well.
    """
    warmed = served.metrics()
    assert (
        warmed[":tensorflow:serving:batching_session:processed_batch_size_sum{}"] == 4
    )
    body = json.dumps({"instances": [1.0, 2.0]})
    for _ in range(3):
        served.predict("toy", x=[1.0])
        assert served.rest("POST", "/v1/models/toy:predict", body)[0] == 200
    after = dict(line.rsplit(" ", 1) for line in served.page())
    for line in RECORDED.read_text().splitlines():
        name, value = line.rsplit(" ", 1)
        assert name in after, line
        if not name.startswith("#"):
            assert float(after[name]) - warmed.get(name, 0) == float(value), line
        else:
            assert after[name] == value


def test_under_load_each_request_gets_its_own_response(served):
    before = served.metrics()

    def predict(number):
        if number % 5 == 0:
            body = json.dumps({"instances": [float(number)] * 3})
            status, text = served.rest("POST", "/v1/models/toy:predict", body)
            assert status == 200
            return json.loads(text)["predictions"]
        x = [float(number)] * (1 + number % 4)
        return list(served.predict("toy", x=x).outputs["y"].float_val)

    with concurrent.futures.ThreadPoolExecutor(24) as callers:
        got = list(callers.map(predict, range(400), timeout=SECONDS))
    for number, values in enumerate(got):
        rows = 3 if number % 5 == 0 else 1 + number % 4
        assert values == [number / 2 + 1] * rows
    session = ":tensorflow:serving:batching_session:"
    rows = sum(map(len, got))
    assert served.counted(before, f"{session}input_batch_size_sum{{}}") == rows
    assert served.counted(before, f"{session}processed_batch_size_sum{{}}") == rows


def test_a_batch_has_at_most_a_thousand_rows(served, kit):
    rows = served.predict("toy", x=[1.0] * 1000).outputs["y"].float_val
    assert len(rows) == 1000
    body = json.dumps({"instances": [1.0] * 1001})
    status, text = served.rest("POST", "/v1/models/toy:predict", body)
    assert (status, json.loads(text)) == (
        400,
        {"error": "Task size 1001 is larger than maximum input batch size 1000"},
    )
