"""Recordings, and sending the requests in them to a server."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tests.server.fidelity.compare import grpc_differences, rest_differences

DATA = Path(__file__).parent / "data"
SECONDS = 30.0  # time limit of one response
SETTLE_SECONDS = 10.0  # time limit of a reload's effect

Line = dict[str, Any]

_REQUESTS = {
    "Predict": predict_pb2.PredictRequest,
    "Classify": classification_pb2.ClassificationRequest,
    "Regress": regression_pb2.RegressionRequest,
    "MultiInference": inference_pb2.MultiInferenceRequest,
    "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    "HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
}
_STUBS = {
    "PredictionService": prediction_service_pb2_grpc.PredictionServiceStub,
    "ModelService": model_service_pb2_grpc.ModelServiceStub,
}


@dataclass(frozen=True)
class Scenario:
    """Requests to a server that was started with certain flags.

    Attributes:
        flags: The server's arguments; $MODELS is the models' directory.
        files: The recordings.
        in_sequence: Whether a request changes the responses to later ones.
    """

    flags: tuple[str, ...]
    files: tuple[str, ...]
    in_sequence: bool = False


SCENARIOS = {
    "steady": Scenario(
        flags=(
            "--model_config_file=$MODELS/steady.models.config",
            "--allow_version_labels_for_unavailable_models=true",
        ),
        files=("steady", "reference", "rest"),
    ),
    "flagged": Scenario(
        flags=(
            "--model_name=odd",
            "--model_base_path=$MODELS/odd",
            "--enable_signature_method_name_check=true",
            "--enable_serialization_as_tensor_content=true",
        ),
        files=("flagged",),
    ),
    "batched": Scenario(
        flags=(
            "--model_config_file=$MODELS/steady.models.config",
            "--allow_version_labels_for_unavailable_models=true",
            "--enable_batching",
            "--batching_parameters_file=$MODELS/batching.config",
        ),
        files=("batched",),
    ),
    "reload": Scenario(
        flags=(
            "--model_config_file=$MODELS/reload.models.config",
            "--max_num_load_retries=0",
        ),
        files=("reload",),
        in_sequence=True,
    ),
}


@dataclass(frozen=True)
class Target:
    """A running server.

    Attributes:
        grpc: Its address, `host:port`.
        rest: The address of its REST API, if it has one.
        models: The directory of its models, on its machine.
    """

    grpc: str
    rest: str | None = None
    models: str = "$MODELS"


def recorded(scenario: Scenario) -> list[Line]:
    """Return the lines of a scenario, with $MODELS unreplaced."""
    return [
        json.loads(line)
        for name in scenario.files
        for line in (DATA / f"{name}.jsonl").read_text().splitlines()
    ]


def differences(target: Target, line: Line, in_sequence: bool = False) -> list[str]:
    """Send one request; return how the response differs from the recorded one.

    Args:
        target: The server.
        line: The request with its response.
        in_sequence: Whether to wait until the response is the expected one, because an
            earlier request has changed the server's state.

    Returns:
        A sentence for each difference; none when the responses are equal.
    """
    line = json.loads(json.dumps(line).replace("$MODELS", target.models))
    patient = in_sequence and not line.get("rpc", "").endswith("ReloadConfigRequest")
    end = time.monotonic() + (SETTLE_SECONDS if patient else 0)
    while (found := _differences(target, line)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def _differences(target: Target, line: Line) -> list[str]:
    if "rpc" in line:
        got, compare = send_grpc(target.grpc, line), grpc_differences
    elif target.rest is not None:
        got, compare = send_rest(target.rest, line), rest_differences
    else:
        return ["no address of a REST API"]
    found = compare(line, got)
    if found and "or" in line and not compare(line | line["or"], got):
        return []
    return found


def request_of(line: Line) -> Any:
    """Return the request message of a line of gRPC."""
    method = line["rpc"].partition("/")[2]
    return json_format.ParseDict(line["request"], _REQUESTS[method]())


def send_grpc(address: str, line: Line) -> Line:
    """Return the response to a line: `code`, and `response` or `details`."""
    service, method = line["rpc"].split("/")
    request = request_of(line)
    with grpc.insecure_channel(address) as channel:
        call = getattr(_STUBS[service](channel), method)
        try:
            reply = call(request, timeout=SECONDS, wait_for_ready=True)
        except grpc.RpcError as error:
            return {"code": error.code().name, "details": error.details()}
    response = json_format.MessageToDict(reply, preserving_proto_field_name=True)
    return {"code": "OK", "response": response}


def send_rest(address: str, line: Line) -> Line:
    """Return the response to a line: `status`, `content_type` and `answer`."""
    connection = http.client.HTTPConnection(address, timeout=SECONDS)
    body = line["body"]
    try:
        connection.request(
            line["method"], line["path"], None if body is None else body.encode()
        )
        reply = connection.getresponse()
        return {
            "status": reply.status,
            "content_type": reply.getheader("Content-Type"),
            "answer": reply.read().decode(),
        }
    finally:
        connection.close()
