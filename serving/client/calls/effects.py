"""Operations of the client as generators that do no input or output themselves.

An operation decides what to send, how to read a response and what to send next. It
yields the calls to make and receives their outcomes, and never blocks (the "sans-I/O"
pattern); `sync_driver` and `async_driver` make the calls:

    calls = next(operation)
    calls = operation.send([response or ClientError for each of the calls])
    ...                             # until StopIteration carries the result
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

from google.protobuf.message import Message

from fovea.serving.client.errors import ClientError
from fovea.serving.protocol import wire_pb2

T = TypeVar("T")


class Method(NamedTuple):
    """A gRPC method of the server.

    Attributes:
        path: Its path, /package.Service/Method.
        request: The class of its requests.
        response: The class of its responses.
    """

    path: str
    request: type[Message]
    response: type[Message]


def _method(service: str, name: str, messages: str = "") -> Method:
    messages = messages or name
    return Method(
        f"/tensorflow.serving.{service}/{name}",
        getattr(wire_pb2, f"{messages}Request"),
        getattr(wire_pb2, f"{messages}Response"),
    )


PREDICT = _method("PredictionService", "Predict")
GET_METADATA = _method("PredictionService", "GetModelMetadata")
GET_STATUS = _method("ModelService", "GetModelStatus")
RELOAD_CONFIG = _method("ModelService", "HandleReloadConfigRequest", "ReloadConfig")
CLASSIFY = _method("PredictionService", "Classify", "Classification")
CHECK_HEALTH = Method(
    "/grpc.health.v1.Health/Check",
    wire_pb2.HealthCheckRequest,
    wire_pb2.HealthCheckResponse,
)
METHODS = (PREDICT, CLASSIFY, GET_METADATA, GET_STATUS, RELOAD_CONFIG, CHECK_HEALTH)


class Call(NamedTuple):
    """A request and the method that it is sent to."""

    method: Method
    request: Any


class Pause(NamedTuple):
    """Yielded instead of calls: wait this many seconds, then send an empty list."""

    seconds: float


# Yields calls to make at the same time, receives their outcomes, returns the result.
Operation: TypeAlias = Generator[list[Call] | Pause, list[Any], T]


def call(method: Method, request: Any) -> Operation[Any]:
    """Make one call.

    Args:
        method: The method to call.
        request: A message of its request class.

    Returns:
        The response.

    Raises:
        ClientError: If the call fails.
    """
    (outcome,) = yield [Call(method, request)]
    return unwrap(outcome)


def unwrap(outcome: Any) -> Any:
    """Return an outcome or result, or raise it if it is an error."""
    if isinstance(outcome, ClientError):
        raise outcome
    return outcome
