"""``--batching_parameters_file``: a text BatchingParameters."""

from __future__ import annotations

from typing import Any

from serving.server.errors import invalid_argument
from serving.server.text_proto import message_type, read_text_proto

BatchingParameters = message_type(
    "BatchingParameters",
    {
        "max_batch_size": "Int64Value",
        "batch_timeout_micros": "Int64Value",
        "max_enqueued_batches": "Int64Value",
        "num_batch_threads": "Int64Value",
        "thread_pool_name": "StringValue",
        "allowed_batch_sizes": "repeated int64",
        "pad_variable_length_inputs": "bool",
        "enable_large_batch_splitting": "BoolValue",
        "max_execution_batch_size": "Int64Value",
    },
)

DEFAULT_MAX_BATCH_SIZE = 1000


def read(path: str) -> Any:
    """The parameters in a file.

    Raises:
        ServingError: There is no such file, or it holds something else.
    """
    return read_text_proto(path, BatchingParameters())


def check_sizes(parameters: Any) -> None:
    """Refuse allowed sizes that no batch could have; with them no version is loaded.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    sizes = list(parameters.allowed_batch_sizes)
    if not sizes:
        return
    largest = DEFAULT_MAX_BATCH_SIZE
    if parameters.HasField("max_batch_size"):
        largest = parameters.max_batch_size.value
    if sizes != sorted(set(sizes)):
        raise invalid_argument(
            "allowed_batch_sizes entries must be monotonically increasing"
        )
    if sizes[-1] != largest:
        raise invalid_argument(
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry "
            f"was {sizes[-1]}; expected {largest}"
        )
