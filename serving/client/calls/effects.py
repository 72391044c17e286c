"""A question as a generator: it yields calls to make, and is sent what came of them.

All that the client decides (what to send, how to read an answer, what to ask next) is
written as such generators, which never wait and know no socket. `Client` and
`AsyncClient` make the calls, each in its own way:

    calls = next(steps)
    calls = steps.send([answer or ClientError for each of the calls])
    ...                                     # until StopIteration brings the result
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

from google.protobuf.message import Message

from fovea.serving.client.errors import ClientError
from fovea.serving.protocol import wire_pb2

T = TypeVar("T")


class Method(NamedTuple):
    """One of the server's methods: its path and its messages."""

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
    """A request and the method that it goes to."""

    method: Method
    request: Any


class Pause(NamedTuple):
    """Takes the place of calls: wait this many seconds, then send an empty list."""

    seconds: float


# Calls to make at the same time -> for each its response or the error -> the result
Steps: TypeAlias = Generator[list[Call] | Pause, list[Any], T]


def ask(method: Method, request: Any) -> Steps[Any]:
    """Make one call.

    Returns:
        the response.

    Raises:
        ClientError: if there is none.
    """
    (outcome,) = yield [Call(method, request)]
    if isinstance(outcome, ClientError):
        raise outcome
    return outcome
