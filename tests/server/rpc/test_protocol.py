"""The protocol, tested on a server process with the official stubs."""

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

pytestmark = pytest.mark.slow


def failure(call, *args, **kwargs):
    with pytest.raises(grpc.RpcError) as error:
        call(*args, **kwargs)
    return error.value.code().name, error.value.details()


def test_predict_fills_in_version_and_signature(kit, toy_server):
    reply = toy_server.stubs.predict(kit.predict_request(x=np.array([1, 2], "f4")))
    assert reply.model_spec.name == "toy"
    assert reply.model_spec.version.value == 1
    assert reply.model_spec.signature_name == "serving_default"
    assert list(reply.outputs["y"].float_val) == [1.5, 2.0]
    assert reply.outputs["y"].tensor_content == b""


def test_every_signature_and_strings(kit, toy_server):
    ones = np.ones((1, 2), np.float32)
    reply = toy_server.stubs.predict(kit.predict_request("toy", "both", a=ones, b=ones))
    assert set(reply.outputs) == {"sum", "product", "total"}
    reply = toy_server.stubs.predict(
        kit.predict_request("toy", "upper", text=[["é\0"]])
    )
    assert list(reply.outputs["same"].string_val) == ["é\0".encode()]
    assert [dim.size for dim in reply.outputs["same"].tensor_shape.dim] == [1, 1]


def test_the_output_filter_selects_outputs(kit, toy_server):
    request = kit.predict_request("toy", "upper", text="a")
    request.output_filter.append("same")
    assert set(toy_server.stubs.predict(request).outputs) == {"same"}


@pytest.mark.parametrize(
    ("change", "code", "details"),
    [
        (lambda r: r.ClearField("model_spec"), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (
            lambda r: r.model_spec.ClearField("name"),
            "INVALID_ARGUMENT",
            "ModelSpec has no name specified.",
        ),
        (
            lambda r: setattr(r.model_spec, "name", "nobody"),
            "NOT_FOUND",
            "Servable not found for request: Latest(nobody)",
        ),
        (
            lambda r: setattr(r.model_spec.version, "value", 7),
            "NOT_FOUND",
            "Servable not found for request: Specific(toy, 7)",
        ),
        (
            lambda r: setattr(r.model_spec, "version_label", "stable"),
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: stable",
        ),
        (
            lambda r: setattr(r.model_spec, "signature_name", "nope"),
            "FAILED_PRECONDITION",
            'Serving signature key "nope" not found.',
        ),
        (
            lambda r: r.inputs["z"].CopyFrom(r.inputs["x"]),
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=1 len({x,z}) != len({x}). "
            "Sent extra: {z}. Missing but required: {}.",
        ),
        (
            lambda r: r.inputs.pop("x"),
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({x}). "
            "Sent extra: {}. Missing but required: {x}.",
        ),
        (
            lambda r: r.inputs["z"].CopyFrom(r.inputs.pop("x")),
            "INVALID_ARGUMENT",
            "Signature input alias: x(feed name: serving_default_x:0) not found in "
            "request and no default value provided. Inputs expected to be in the "
            "request {z}, or default input alias set: ",
        ),
        (
            lambda r: setattr(r.inputs["x"], "tensor_content", b"1"),
            "INVALID_ARGUMENT",
            "tensor parsing error: x",
        ),
        (
            lambda r: r.output_filter.append("n"),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: n Outputs expected to be in "
            "the set {y}.",
        ),
        (
            lambda r: r.output_filter.extend(["y", "y"]),
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: y",
        ),
        (
            lambda r: r.inputs["x"].CopyFrom(tensor_pb2.TensorProto(dtype=7)),
            "INVALID_ARGUMENT",
            "Expects arg[0] to be float but string is provided",
        ),
    ],
)
def test_bad_predict_requests(kit, toy_server, change, code, details):
    request = kit.predict_request(x=np.array([1], np.float32))
    change(request)
    assert failure(toy_server.stubs.predict, request) == (code, details)


def test_checks_are_in_the_order_of_tensorflow_serving(kit, toy_server):
    request = kit.predict_request("toy", "nope", z=[1.0])
    request.output_filter.append("n")
    assert failure(toy_server.stubs.predict, request)[0] == "FAILED_PRECONDITION"
    request.model_spec.signature_name = ""
    assert "Signature input alias" in failure(toy_server.stubs.predict, request)[1]


def test_long_texts_are_truncated(kit, toy_server):
    request = kit.predict_request(x=[1.0])
    request.output_filter.append("é" * 1000)
    details = failure(toy_server.stubs.predict, request)[1]
    assert details.endswith("é...TRUNCATED")
    assert 1022 <= len(details.removesuffix("...TRUNCATED").encode()) <= 1024


def test_a_deadline_ends_the_run(kit, toy_server):
    request = kit.predict_request("toy", "slow", turns=np.int32(2**30))
    assert failure(toy_server.stubs.predict, request, 0.3)[0] == "DEADLINE_EXCEEDED"
    # and the server's threads are free again
    for _ in range(100):
        with pytest.raises(grpc.RpcError):
            toy_server.stubs.predict(request, 0.01)
    toy_server.stubs.predict(kit.predict_request(x=[1.0]))


def test_metadata_holds_every_signature(kit, toy_server):
    reply = toy_server.stubs.metadata("toy", "signature_def")
    assert reply.model_spec.version.value == 1
    assert reply.model_spec.signature_name == ""
    packed = reply.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(signatures)
    assert set(signatures.signature_def) == {
        "serving_default",
        "both",
        "upper",
        "slow",
        "__saved_model_init_op",
    }


def test_bad_metadata_requests_in_order(toy_server):
    metadata = toy_server.stubs.metadata
    empty = get_model_metadata_pb2.GetModelMetadataRequest()
    rpc = toy_server.stubs.prediction.GetModelMetadata
    assert failure(rpc, empty) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    assert failure(metadata, "nobody") == (
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    )
    assert failure(metadata, "nobody", "signature_def", "x") == (
        "INVALID_ARGUMENT",
        "Metadata field x is not supported",
    )
    assert failure(metadata, "nobody", "signature_def") == (
        "NOT_FOUND",
        "Servable not found for request: Latest(nobody)",
    )


def test_status(toy_server):
    assert toy_server.stubs.status() == {1: (30, 0, "")}
    rpc = toy_server.stubs.model.GetModelStatus
    request = get_model_status_pb2.GetModelStatusRequest()
    assert failure(rpc, request) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    request.model_spec.SetInParent()
    assert failure(rpc, request) == (
        "NOT_FOUND",
        "Could not find any versions of model ",
    )
    request.model_spec.name = "toy"
    request.model_spec.version.value = 9
    assert failure(rpc, request) == (
        "NOT_FOUND",
        "Could not find version 9 of model toy",
    )
    request.model_spec.version_label = "ignored"
    assert len(rpc(request).model_version_status) == 1


@pytest.mark.parametrize(
    "service",
    [
        "",
        "PredictionService",
        "ModelService",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "model/toy",
    ],
)
def test_health(toy_server, service):
    stub = health_pb2_grpc.HealthStub(toy_server.channel)
    reply = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_name(toy_server):
    stub = health_pb2_grpc.HealthStub(toy_server.channel)
    request = health_pb2.HealthCheckRequest(service="model/nobody")
    assert failure(stub.Check, request)[0] == "NOT_FOUND"


def test_malformed_messages(kit, toy_server):
    predict = toy_server.channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict"
    )
    for raw in (b"\xff\xff\xff", b"\x0a\x7f", b"\x00" * 100):
        assert failure(predict, raw)[0] in {"INTERNAL", "INVALID_ARGUMENT"}
    assert failure(predict, b"") == ("INVALID_ARGUMENT", "Missing ModelSpec")
    toy_server.stubs.predict(kit.predict_request(x=[1.0]))
    assert "E Exception deserializing" in toy_server.log
    assert "Traceback" not in toy_server.log


def test_a_message_of_20_megabytes(kit, toy_server):
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{toy_server.port}", options) as channel:
        x = np.arange(5 * 2**20, dtype=np.float32)
        reply = kit.Stubs(channel).predict(kit.predict_request(x=x))
        np.testing.assert_array_equal(reply.outputs["y"].float_val, x / 2 + 1)


def test_inputs_with_defaults_may_be_omitted(kit, toys, tmp_path):
    from fovea.serving.server.inference.predict import predict
    from fovea.serving.server.saved_model.session_runner import Runner

    runner = Runner(toys[1])
    signature = runner.signatures["both"]
    signature.defaults["b"].CopyFrom(kit.tf.make_tensor_proto([[3.0, 4.0]]))
    ones = np.ones((1, 2), np.float32)
    reply = predict(runner, 1, kit.predict_request("toy", "both", a=ones))
    assert isinstance(reply, predict_pb2.PredictResponse)
    assert list(reply.outputs["product"].float_val) == [3.0, 4.0]
    runner.close()


@pytest.mark.parametrize(
    "method",
    ["PredictionService/Nothing", "SessionService/SessionRun", "Nothing/Predict"],
)
def test_methods_that_do_not_exist(toy_server, method):
    call = toy_server.channel.unary_unary(f"/tensorflow.serving.{method}")
    with pytest.raises(grpc.RpcError) as error:
        call(b"", timeout=30)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error.value.details() == ""
