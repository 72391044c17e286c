"""The server with --enable_batching, called over the network.

Every model is a copy of the toy, or of one that decodes images, with its own batching
parameters. Where the batch timeout is an hour, only a full batch can be the reason for
a response.
"""

import json
import shutil

import grpc
import pytest
from tensorflow_serving.apis import model_management_pb2

pytestmark = pytest.mark.slow

PATIENT = "batch_timeout_micros { value: 3600000000 } "
PARAMETERS = {
    "ten": PATIENT + "max_batch_size { value: 10 }",
    "images": PATIENT + "max_batch_size { value: 10 }",
    "pair": PATIENT + "max_batch_size { value: 2 } max_enqueued_batches { value: 1 }",
    "padded": "max_batch_size { value: 8 } allowed_batch_sizes: [4, 8]",
    "split": "max_batch_size { value: 8 } max_execution_batch_size { value: 2 } "
    "enable_large_batch_splitting { value: true }",
    "slowly": "batch_timeout_micros { value: 1000000 }",
    "alone": None,  # no file: not batched
}
SECONDS = 60
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a4944415478da6360000000020001e527defc0000000049454e44ae426082"
)

SESSION = ":tensorflow:serving:batching_session:"
SIZES = f"{SESSION}processed_batch_size_sum{{}}"
BATCHES = f"{SESSION}processed_batch_size_count{{}}"
RUNS = ":tensorflow:core:direct_session_runs{}"


@pytest.fixture(scope="module")
def pictures(kit, tmp_path_factory):
    tf = kit.tf

    class Pictures(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="encoded")])
        def mean(self, encoded):
            def one(raw):
                image = tf.io.decode_image(raw, channels=1, expand_animations=False)
                return tf.reduce_mean(tf.cast(image, tf.float32))

            return {"mean": tf.map_fn(one, encoded, fn_output_signature=tf.float32)}

    path = tmp_path_factory.mktemp("pictures") / "1"
    module = Pictures()
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.mean})
    return path


@pytest.fixture(scope="module")
def root(toys, pictures, tmp_path_factory):
    root = tmp_path_factory.mktemp("batching")
    for name, text in PARAMETERS.items():
        version = root / name / "1"
        shutil.copytree(pictures if name == "images" else toys[1], version)
        if text is not None:
            (version / "batching_params.pbtxt").write_text(text)
    return root


@pytest.fixture(scope="module")
def served(root, serve):
    config, common = root / "models.config", root / "common.config"
    models = "\n".join(map(text_config, [root / name for name in PARAMETERS]))
    config.write_text(f"model_config_list {{ {models} }}")
    # Only the number of threads is read from this file.
    common.write_text("max_batch_size { value: 1 } num_batch_threads { value: 2 }")
    with serve(
        root,
        f"--model_config_file={config}",
        f"--batching_parameters_file={common}",
        "--enable_per_model_batching_parameters",
        "--grpc_max_threads=32",
    ) as served:
        yield served


def text_config(path):
    return (
        f'config {{ name: "{path.name}" base_path: "{path}" '
        'model_platform: "tensorflow" }'
    )


def numbers(reply, alias="y"):
    return list(reply.outputs[alias].float_val)


def failure(call, *arguments, **keywords):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    return f"{caught.value.code().name}: {caught.value.details()}"


def test_concurrent_requests_are_batched(served):
    before = served.metrics()
    for _ in range(3):
        pending = [served.begin(served.predict, "ten", x=[float(n)]) for n in range(10)]
        got = [numbers(future.result(SECONDS)) for future in pending]
        assert got == [[n / 2 + 1] for n in range(10)]
    assert served.counted(before, BATCHES) == 3
    assert served.counted(before, SIZES) == 30
    assert served.counted(before, RUNS) == 3
    assert served.counted(before, f"{SESSION}wrapped_run_count{{}}") == 3
    assert served.counted(before, f"{SESSION}input_batch_size_count{{}}") == 30
    waited = f'{SESSION}queuing_latency_count{{thread_pool_name=""}}'
    assert served.counted(before, waited) == 30


def test_grpc_and_rest_share_a_batch(served):
    before = served.metrics()
    over_grpc = served.begin(served.predict, "pair", x=[2.0])
    body = json.dumps({"instances": [4.0]})
    status, text = served.rest("POST", "/v1/models/pair:predict", body)
    assert (status, json.loads(text)) == (200, {"predictions": [3.0]})
    assert numbers(over_grpc.result(SECONDS)) == [2.0]
    assert served.counted(before, RUNS) == 1


def test_a_bad_picture_fails_alone(served):
    def mean(raw):
        return served.predict("images", encoded=[raw])

    for bad in range(0, 10, 3):
        raws = [b"no picture" if n == bad else PNG for n in range(10)]
        pending = [served.begin(mean, raw) for raw in raws]
        error = failure(pending[bad].result, SECONDS)
        assert error.startswith("INVALID_ARGUMENT: Unknown image file format.")
        del pending[bad]
        assert [numbers(f.result(SECONDS), "mean") for f in pending] == [[0.0]] * 9


@pytest.fixture
def queued(served, kit):
    """queued(...) starts a request and returns when it is in the queue."""

    def queued(*arguments, **inputs):
        before = served.metrics()
        pending = served.begin(served.predict, *arguments, **inputs)
        waiting = f"{SESSION}input_batch_size_count{{}}"
        kit.until(lambda: served.counted(before, waiting) > 0)
        return pending

    return queued


def test_an_expired_request_is_never_run(served, queued, kit):
    before = served.metrics()
    late = queued("pair", timeout=2, x=[1.0])
    # The deadline expires at the same time for client and server.
    error = failure(late.result, SECONDS)
    assert error.startswith(("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"))
    given_up = (
        ':tensorflow:serving:request_count{model_name="pair",'
        'status="RESOURCE_EXHAUSTED"}'
    )
    kit.until(lambda: served.counted(before, given_up) == 1)
    # It still counts towards the batch's size, so that this one completes the batch.
    assert numbers(served.predict("pair", x=[4.0])) == [3.0]
    assert served.counted(before, RUNS) == 1
    assert served.counted(before, SIZES) == 1


def test_a_full_queue(served, queued):
    first = queued("pair", "upper", text=["a"])
    assert failure(served.predict, "pair", "upper", text=["b", "c"]) == (
        "UNAVAILABLE: The batch scheduling queue to which this task was submitted is "
        "full; currently 1 batches enqueued and max_enqueued_batches is 1"
    )
    body = json.dumps({"signature_name": "upper", "instances": ["b", "c"]})
    status, text = served.rest("POST", "/v1/models/pair:predict", body)
    assert status == 503
    assert json.loads(text)["error"].startswith("The batch scheduling queue to which")
    assert served.predict("pair", "upper", text=["b"]).outputs["text"].string_val == [
        b"B"
    ]
    assert first.result(SECONDS).outputs["text"].string_val == [b"A"]


def test_an_invalid_request_has_the_usual_error_and_delays_no_other(served, queued):
    first = queued("pair", x=[2.0])
    assert failure(served.predict, "pair", x=[1, 2]) == (
        "INVALID_ARGUMENT: Expects arg[0] to be float but int32 is provided"
    )
    assert numbers(served.predict("pair", x=[[1.0, 3.0]])) == [1.5, 2.5]
    assert not first.done()
    assert numbers(served.predict("pair", x=[4.0])) == [3.0]
    assert numbers(first.result(SECONDS)) == [2.0]


@pytest.mark.parametrize(
    ("signature", "inputs", "error"),
    [
        (
            "",
            {"x": [1.0] * 9},
            "INVALID_ARGUMENT: Task size 9 is larger than maximum input batch size 8",
        ),
        (
            "slow",
            {"turns": 1},
            "INVALID_ARGUMENT: Batching Run() input tensors must have at least one "
            "dimension",
        ),
        (
            "both",
            {"a": [[1.0, 2.0]], "b": [[1.0, 2.0], [3.0, 4.0]]},
            "INVALID_ARGUMENT: Batching Run() input tensors must have equal "
            "0th-dimension size",
        ),
        (
            "both",
            {"a": [[1.0, 2.0]], "b": [[1.0, 2.0]]},
            "FAILED_PRECONDITION: Batched output tensor has 0 dimensions",
        ),
    ],
)
def test_requests_that_cannot_be_batched(served, signature, inputs, error):
    assert failure(served.predict, "padded", signature, **inputs) == error


def test_a_version_without_a_parameter_file_is_not_batched(served):
    before = served.metrics()
    assert numbers(served.predict("alone", "slow", turns=1), "last") == [1.0]
    both = {"a": [[1.0, 2.0]], "b": [[1.0, 2.0]]}
    assert numbers(served.predict("alone", "both", **both), "total") == [3.0]
    assert served.counted(before, BATCHES) == 0


def test_a_batch_is_padded_and_its_outputs_are_not(served):
    before = served.metrics()
    assert numbers(served.predict("padded", x=[0.0, 2.0, 4.0])) == [1.0, 2.0, 3.0]
    assert numbers(served.predict("padded", x=[0.0] * 5)) == [1.0] * 5
    padding = f'{SESSION}padding_size_sum{{execution_batch_size="%d"}}'
    assert served.counted(before, padding % 4) == 1
    assert served.counted(before, padding % 8) == 3
    assert served.counted(before, SIZES) == 12


def test_a_large_request_is_split(served):
    before = served.metrics()
    got = numbers(served.predict("split", x=[float(n) for n in range(7)]))
    assert got == [n / 2 + 1 for n in range(7)]
    assert served.counted(before, BATCHES) == 4
    assert served.counted(before, f"{SESSION}input_batch_size_sum{{}}") == 7


def test_a_model_is_unloaded_after_its_queued_requests(served, queued, root, kit):
    pending = queued("slowly", x=[2.0])
    request = model_management_pb2.ReloadConfigRequest()
    for name in PARAMETERS.keys() - {"slowly"}:
        request.config.model_config_list.config.add(
            name=name, base_path=str(root / name), model_platform="tensorflow"
        )
    served.server.stubs.model.HandleReloadConfigRequest(request, timeout=SECONDS)
    assert numbers(pending.result(SECONDS)) == [2.0]
    kit.until(lambda: served.server.stubs.status("slowly")[1][0] == 50)
