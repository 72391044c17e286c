"""What a server refused -> the same error, with what could be asked instead."""

from __future__ import annotations

from fovea.serving.client.calls.effects import Steps
from fovea.serving.client.calls.model_info import Known, metadata, ready_versions
from fovea.serving.client.calls.signature_check import mismatch
from fovea.serving.client.errors import ClientError, InvalidRequest, ModelNotFound
from fovea.serving.protocol import wire_pb2


def explained(
    known: Known,
    error: ClientError,
    request: wire_pb2.PredictRequest | wire_pb2.ClassificationRequest,
) -> Steps[ClientError]:
    """Ask the server what there is, and say it in the error.

    Args:
        known: is told what the model says of itself.
        error: why `request` was not answered.

    Returns:
        the error to raise. Its `mismatch` is true if the request does not fit what
        the model says of itself, whatever the values in it.
    """
    spec = request.model_spec
    if error.mismatch:  # it says already what there is
        return error
    if isinstance(error, ModelNotFound) and spec.WhichOneof("version_choice"):
        ready = yield from ready_versions(spec.name)
        if ready:
            return _extended(error, f"Versions that are ready: {ready}.")
    elif isinstance(error, InvalidRequest):
        try:
            found = yield from metadata(known, spec)
        except ClientError:
            return error
        reason = mismatch(request, found)
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


def refuse_misfit(
    known: Known, request: wire_pb2.PredictRequest, check: bool
) -> Steps[None]:
    """Refuse what the model cannot take, without sending it.

    Args:
        known: what is known of models. Nothing is refused on old knowledge: a request
            that seems not to fit is judged again by what the model says now.
        check: whether to ask what is not known yet.

    Raises:
        InvalidRequest: if the request does not fit.
    """
    spec = request.model_spec
    found = known.metadata(spec)
    if found is None and not check:
        return
    if found is None or mismatch(request, found):
        found = yield from metadata(known, spec)
        reason = mismatch(request, found)
        if reason:
            raise InvalidRequest(
                f"Model {spec.name!r} version {found.version} cannot take this, so it "
                f"was not sent. {reason}",
                mismatch=True,
            )
