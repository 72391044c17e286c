"""Convert gRPC statuses to the client's errors, with advice on what to do."""

import re
import textwrap

import grpc

from fovea.serving.client.calls.unavailable import describe_unavailable
from fovea.serving.client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ServerUnavailable,
)

_TOO_LARGE = re.compile(
    r"(CLIENT: )?(Sent|Received) message larger than max \((\d+) vs\. (\d+)\)"
)


def to_client_error(
    error: grpc.RpcError, *, target: str, timeout: float, model: str, version: str
) -> ClientError:
    """Convert the error of a failed call.

    Args:
        error: The error that gRPC raised.
        target: Address of the server.
        timeout: Timeout of the call in seconds.
        model: Name of the model that was called.
        version: The version that was requested as words: "", " version 3" or
            " version labelled 'canary'".

    Returns:
        The error to raise, with the status message in `details`.
    """
    code, details = error.code(), error.details() or ""
    # The message of a failing graph can fill a page; the sentence shows its beginning.
    reason = textwrap.shorten(details, 300, placeholder=" ...").rstrip(".")
    error_class, sentence = _sentence(
        code, reason or "no details", target, timeout, model, version
    )
    return error_class(sentence, code=code.name, details=details)


def _sentence(
    code: grpc.StatusCode,
    reason: str,
    target: str,
    timeout: float,
    model: str,
    version: str,
) -> tuple[type[ClientError], str]:
    if code is grpc.StatusCode.UNAVAILABLE:
        return ServerUnavailable, describe_unavailable(reason, target)
    if code is grpc.StatusCode.CANCELLED:
        return ServerUnavailable, (
            f"The server at {target} cancelled the call before it responded ({reason})"
            "; it may be stopping."
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded, (
            f"The server at {target} did not respond within {timeout:g} s; "
            "use a longer timeout, or check the load of the server."
        )
    if code is grpc.StatusCode.NOT_FOUND:
        return ModelNotFound, (
            f"The server at {target} has no model {model!r}{version} that is ready "
            f"({reason})."
        )
    if reason.startswith("Unrecognized servable version label"):
        return ModelNotFound, (
            f"The server at {target} has no{version} for model {model!r} ({reason})."
        )
    if code is grpc.StatusCode.FAILED_PRECONDITION and reason.startswith(
        "Serving signature"
    ):
        return InvalidRequest, (
            f"Model {model!r} at {target} does not have this signature ({reason}); "
            "its metadata lists those that it has."
        )
    if code in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    ):
        return InvalidRequest, (
            f"Model {model!r} at {target} rejected the request ({reason})."
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ClientError, (
            f"The server at {target} is not a TensorFlow Serving gRPC server "
            f"({reason})."
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _exhausted(reason, target)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return ClientError, (
            f"The server at {target} rejects the credentials ({reason}); check the "
            "token: it may be missing, wrong or expired."
        )
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return ClientError, (
            f"The server at {target} denies this client permission ({reason}); use a "
            "token with that permission, or request it from its operator."
        )
    return ClientError, f"The call to {target} failed with {code.name} ({reason})."


def _exhausted(reason: str, target: str) -> tuple[type[ClientError], str]:
    match = _TOO_LARGE.search(reason)
    if match is None:
        return ServerUnavailable, (
            f"The server at {target} is overloaded ({reason}); try again later, or "
            "with fewer requests at a time."
        )
    by_client, direction, size, limit = match.groups()
    if by_client:
        message = "request" if direction == "Sent" else "response"
        return InvalidRequest, (
            f"The {message} is larger than this client allows: {size} bytes, and "
            f"max_message_bytes is {limit}; raise it, or send fewer images at a time."
        )
    message = "request" if direction == "Received" else "response"
    return InvalidRequest, (
        f"The {message} is larger than the server at {target} allows: {size} bytes, "
        f"and its limit is {limit}; send fewer or smaller images at a time, or raise "
        "its limit."
    )
