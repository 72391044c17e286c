"""gRPC status -> the client's own errors, in words that say what to do next."""

import textwrap

import grpc

from serving.client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ServerUnavailable,
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
        return ServerUnavailable, _unavailable(said, target)
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
    return ClientError, f"The call to {target} failed with {code.name} ({said})."


def _unavailable(said: str, target: str) -> str:
    # gRPC has one code for "nobody there" and "there, but not now"; only its text
    # tells them apart. Unknown text falls through to the last, always true sentence.
    if "HTTP/2" in said or "SETTINGS frame" in said:
        return (
            f"Something listens at {target} but does not speak gRPC ({said}); "
            "is it the REST port? TensorFlow Serving's gRPC port is usually 8500."
        )
    if said.startswith("failed to connect"):
        return (
            f"No server answers at {target} ({_reason(said)}); start one with "
            "`fovea serve`, or check the address."
        )
    if "resolv" in said or "resolution" in said:
        return (
            f"The host name in {target} cannot be resolved; check the address, for "
            "example 127.0.0.1:8500."
        )
    return f"The server at {target} cannot answer now ({said})."


def _reason(said: str) -> str:
    # "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1:
    # Failed to connect to remote host: Connection refused" -> its last part
    return said.rpartition(": ")[2].strip()
