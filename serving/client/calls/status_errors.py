"""gRPC status -> the client's own errors, in words that say what to do next."""

import re
import textwrap

import grpc

from fovea.serving.client.calls.unavailable import why_unreachable
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


def explain(
    error: grpc.RpcError, *, target: str, timeout: float, model: str, asked: str
) -> ClientError:
    """Translate a failed call.

    Args:
        error: what gRPC raised.
        target: address of the server.
        timeout: seconds the call was given.
        model: name of the model asked.
        asked: the version wanted, in words: "", " version 3" or " label canary".

    Returns:
        the error to raise, with the server's words in `details`.
    """
    code, details = error.code(), error.details() or ""
    # The words of a failing graph can fill a page: the sentence shows their beginning.
    said = textwrap.shorten(details, 300, placeholder=" ...").rstrip(".")
    kind, sentence = _sentence(
        code, said or "no details", target, timeout, model, asked
    )
    return kind(sentence, code=code.name, details=details)


def _sentence(
    code: grpc.StatusCode,
    said: str,
    target: str,
    timeout: float,
    model: str,
    asked: str,
) -> tuple[type[ClientError], str]:
    if code is grpc.StatusCode.UNAVAILABLE:
        return ServerUnavailable, why_unreachable(said, target)
    if code is grpc.StatusCode.CANCELLED:
        return ServerUnavailable, (
            f"The server at {target} dropped the call before it answered ({said}); it "
            "may be stopping."
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded, (
            f"The server at {target} did not answer within {timeout:g} s; "
            "give it more time with a longer timeout, or look at its load."
        )
    if code is grpc.StatusCode.NOT_FOUND:
        return ModelNotFound, (
            f"The server at {target} has no model {model!r}{asked} that is ready "
            f"({said})."
        )
    if said.startswith("Unrecognized servable version label"):
        return ModelNotFound, (
            f"The server at {target} has no{asked} for model {model!r} ({said})."
        )
    if code is grpc.StatusCode.FAILED_PRECONDITION and said.startswith(
        "Serving signature"
    ):
        return InvalidRequest, (
            f"Model {model!r} at {target} does not have this signature ({said}); "
            "its metadata lists those that it has."
        )
    if code in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    ):
        return InvalidRequest, (
            f"Model {model!r} at {target} refused the request ({said})."
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ClientError, (
            f"What answers at {target} is not a TensorFlow Serving gRPC server "
            f"({said})."
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _exhausted(said, target)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return ClientError, (
            f"The server at {target} does not accept who asks ({said}); check the "
            "token: it may be missing, wrong or expired."
        )
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return ClientError, (
            f"The server at {target} does not let this client ask ({said}); use a "
            "token that may, or have its operator allow it."
        )
    return ClientError, f"The call to {target} failed with {code.name} ({said})."


def _exhausted(said: str, target: str) -> tuple[type[ClientError], str]:
    found = _TOO_LARGE.search(said)
    if found is None:
        return ServerUnavailable, (
            f"The server at {target} has more to do than it takes on ({said}); ask "
            "again later, or with fewer requests at a time."
        )
    here, way, size, limit = found[1] is not None, found[2], found[3], found[4]
    if here:
        what = "request" if way == "Sent" else "answer"
        return InvalidRequest, (
            f"The {what} is larger than this client allows: {size} bytes, and "
            f"max_message_bytes is {limit}; allow more, or ask about fewer images at "
            "a time."
        )
    what = "request" if way == "Received" else "answer"
    return InvalidRequest, (
        f"The {what} is larger than the server at {target} allows: {size} bytes, and "
        f"its limit is {limit}; ask about fewer or smaller images at a time, or raise "
        "its limit."
    )
