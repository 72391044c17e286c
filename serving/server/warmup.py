"""Warm-up: replay recorded requests on a version before it serves.

The first run of a graph is slow: kernels are chosen, constants folded, memory is
allocated. The requests in `assets.extra/tf_serving_warmup_requests` (a TFRecord file of
PredictionLog) pay for this before a client has to. A version on which a request fails
does not work, so the load fails.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from fovea.serving.server.errors import ServingError, code_of, invalid_argument
from fovea.serving.server.inference.classify import classify
from fovea.serving.server.inference.multi_inference import multi_inference
from fovea.serving.server.inference.predict import predict
from fovea.serving.server.inference.regress import regress
from fovea.serving.server.saved_model.interface import LoadedModel

WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000
_METHODS: dict[str, Callable[..., object]] = {
    "predict_log": predict,
    "classify_log": classify,
    "regress_log": regress,
    "multi_inference_log": multi_inference,
}


def warm_up(model: LoadedModel, path: Path, version: int, rounds: int = 1) -> int:
    """Replay the warm-up requests of a version directory, if it has any.

    Args:
        model: The loaded version.
        path: Its directory.
        version: Its number.
        rounds: How often each request is replayed.

    Returns:
        The number of requests.

    Raises:
        ServingError: The file cannot be read, or a request failed.
    """
    file = path / WARMUP_FILE
    if not file.is_file():
        return 0
    replayed = 0
    for number, record in enumerate(_records(file)):
        if number == MAX_RECORDS:
            raise invalid_argument(
                "Number of warmup records exceeds the maximum "
                f"({MAX_RECORDS}) at {file}"
            )
        for _ in range(rounds):
            _replay(model, version, record, file)
        replayed += 1
    return replayed


def _records(file: Path) -> list[bytes]:
    # Deprecated since 2018, but the only reader that does not load all of tf.data.
    try:
        return list(tf.compat.v1.io.tf_record_iterator(str(file)))
    except tf.errors.DataLossError as error:
        raise ServingError(
            grpc.StatusCode.DATA_LOSS,
            f"{error.message}. Please verify your warmup data is in TFRecord format.",
        ) from None
    except tf.errors.OpError as error:
        raise ServingError(code_of(error.error_code), error.message) from None


def _replay(model: LoadedModel, version: int, record: bytes, file: Path) -> None:
    entry = prediction_log_pb2.PredictionLog()
    try:
        entry.ParseFromString(record)
    except DecodeError:
        raise invalid_argument(
            f"Failed to parse warmup record: {record[:64]!r} from {file}"
        ) from None
    kind = entry.WhichOneof("log_type")
    if kind is None:  # an empty record
        return
    if kind not in _METHODS:
        field = entry.DESCRIPTOR.fields_by_name[kind].number
        raise ServingError(
            grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {field}"
        )
    _METHODS[kind](model, version, getattr(entry, kind).request)
