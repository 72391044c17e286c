"""Compare requests with a model's metadata, before they are sent or afterwards."""

from __future__ import annotations

from fovea.serving.client.calls.effects import Operation
from fovea.serving.client.calls.model_info import ModelCache, metadata, ready_versions
from fovea.serving.client.calls.signature_check import find_mismatch
from fovea.serving.client.errors import ClientError, InvalidRequest, ModelNotFound
from fovea.serving.protocol import wire_pb2


def add_reason(
    cache: ModelCache,
    error: ClientError,
    request: wire_pb2.PredictRequest | wire_pb2.ClassificationRequest,
) -> Operation[ClientError]:
    """Add what the model would accept to the error of a request that was rejected.

    Args:
        cache: Stores the metadata that is requested for this.
        error: The error of the request.
        request: The request.

    Returns:
        The error to raise. Its `mismatch` is true if the request does not fit the
        metadata, whatever its values.
    """
    spec = request.model_spec
    if error.mismatch:  # the reason is in its message already
        return error
    if isinstance(error, ModelNotFound) and spec.WhichOneof("version_choice"):
        ready = yield from ready_versions(spec.name)
        if ready:
            return _extended(error, f"Versions that are ready: {ready}.")
    elif isinstance(error, InvalidRequest):
        try:
            current = yield from metadata(cache, spec)
        except ClientError:
            return error
        reason = find_mismatch(request, current)
        if reason:
            return _extended(error, reason, mismatch=True)
    return error


def _extended(
    error: ClientError, sentence: str, *, mismatch: bool = False
) -> ClientError:
    return type(error)(
        f"{error} {sentence}",
        code=error.code,
        details=error.details,
        mismatch=mismatch,
        item=error.item,
    )


def reject_mismatch(
    cache: ModelCache, request: wire_pb2.PredictRequest, check: bool
) -> Operation[None]:
    """Raise an error if a request does not fit the metadata, so that it is not sent.

    Args:
        cache: The known metadata. A request that does not fit it is compared again
            with the current metadata, so that no request is rejected by an old version.
        request: The request.
        check: Whether to request metadata that is not in the cache.

    Raises:
        InvalidRequest: If the request does not fit.
    """
    spec = request.model_spec
    current = cache.metadata(spec)
    if current is None and not check:
        return
    if current is None or find_mismatch(request, current):
        current = yield from metadata(cache, spec)
        reason = find_mismatch(request, current)
        if reason:
            raise InvalidRequest(
                f"Model {spec.name!r} version {current.version} cannot take this, so "
                f"it was not sent. {reason}",
                mismatch=True,
            )
