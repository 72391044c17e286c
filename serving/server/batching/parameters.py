"""BatchingParameters: the common file, the file of a version, and their meaning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.serving.server.cpus import usable_cpus
from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.text_proto import message_type, read_text_proto

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

# In a version directory, with --enable_per_model_batching_parameters.
VERSION_FILE = "batching_params.pbtxt"

THREAD_POOL_NAME = "batch_threads"
THREAD_POOL_NAME_WITHOUT_FILE = "model_server_batch_threads"


@dataclass(frozen=True)
class PoolOptions:
    """The threads that run the batches of all models.

    Attributes:
        threads: How many batches run at the same time.
        name: The prefix of the threads' names.
    """

    threads: int
    name: str = THREAD_POOL_NAME


@dataclass(frozen=True)
class QueueOptions:
    """How the requests of a version are batched.

    Attributes:
        max_batch_size: The most rows of one request.
        max_execution_batch_size: The most rows of one run.
        batch_timeout: Seconds that a request waits for others.
        max_enqueued_batches: How many batches may wait, including the one that is being
            filled.
        allowed_batch_sizes: A batch is padded to the next of these sizes; empty for no
            padding.
        pad_variable_length_inputs: Whether requests of different shapes are padded to
            the largest, rather than run separately.
        split: Whether one request may be spread over several batches.
    """

    max_batch_size: int = 1000
    max_execution_batch_size: int = 1000
    batch_timeout: float = 0.0
    max_enqueued_batches: int = 10
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    split: bool = False

    def padded(self, rows: int) -> int:
        """Return the size to which a batch of so many rows is padded."""
        return min((s for s in self.allowed_batch_sizes if s >= rows), default=rows)


def read(path: str) -> Any:
    """Read a parameters file.

    Raises:
        ServingError: There is no such file, or its content is invalid.
    """
    return read_text_proto(path, BatchingParameters())


def pool_options(parameters: Any | None) -> PoolOptions:
    """Return the parameters of the threads.

    Args:
        parameters: Those of `--batching_parameters_file`; None without the flag.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if parameters is None:
        return PoolOptions(usable_cpus(), THREAD_POOL_NAME_WITHOUT_FILE)
    threads = _value(parameters, "num_batch_threads", usable_cpus())
    if threads < 1:
        raise invalid_argument(f"num_batch_threads must be positive; was {threads}")
    return PoolOptions(
        threads, _value(parameters, "thread_pool_name", THREAD_POOL_NAME)
    )


def version_options(
    parameters: Any | None, version_path: Path, per_model: bool
) -> QueueOptions | None:
    """Return how the requests of one version are batched.

    Args:
        parameters: Those of `--batching_parameters_file`; None without the flag.
        version_path: The version directory.
        per_model: Whether to use the file in the version directory instead.

    Returns:
        The options, or None when the requests are not batched: with `per_model`, a
        version without a file.

    Raises:
        ServingError: The parameters cannot be read or are invalid.
    """
    if per_model:
        file = version_path / VERSION_FILE
        if not file.exists():
            return None
        parameters = read(str(file))
    return queue_options(BatchingParameters() if parameters is None else parameters)


def queue_options(parameters: Any) -> QueueOptions:
    """Return the parameters of the queues.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    default = QueueOptions()
    _check_sizes(parameters, default.max_batch_size)
    # Negative sizes become huge, as TensorFlow Serving's are unsigned.
    largest = _value(parameters, "max_batch_size", default.max_batch_size) % 2**64
    batches = _value(parameters, "max_enqueued_batches", default.max_enqueued_batches)
    batches %= 2**64
    split = _value(parameters, "enable_large_batch_splitting", False)
    execution = largest
    if split:
        execution = _value(parameters, "max_execution_batch_size", largest) % 2**64
    elif batches == 0:
        batches = 1
    micros = _value(parameters, "batch_timeout_micros", 0)
    if largest == 0:
        raise invalid_argument("input_batch_size_limit must be positive; was 0")
    if micros < 0:
        raise invalid_argument(
            f"batch_timeout_micros must be non-negative; was {micros}"
        )
    if batches == 0:
        raise invalid_argument("max_enqueued_batches must be positive; was 0")
    if largest < execution:
        raise invalid_argument(
            "When enable_large_batch_splitting is true, input_batch_size_limit must be "
            "greater than or equal to max_execution_batch_size."
            f"1{largest}{execution}"  # without blanks in TensorFlow Serving, too
        )
    return QueueOptions(
        max_batch_size=largest,
        max_execution_batch_size=execution,
        batch_timeout=micros / 1e6,
        max_enqueued_batches=batches,
        allowed_batch_sizes=tuple(parameters.allowed_batch_sizes),
        pad_variable_length_inputs=parameters.pad_variable_length_inputs,
        split=split,
    )


def _check_sizes(parameters: Any, default: int) -> None:
    """Refuse allowed sizes that are inconsistent.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    sizes = list(parameters.allowed_batch_sizes)
    if not sizes:
        return
    if sizes != sorted(set(sizes)):
        raise invalid_argument(
            "allowed_batch_sizes entries must be monotonically increasing"
        )
    largest = _value(parameters, "max_batch_size", default)
    if sizes[-1] != largest:
        raise invalid_argument(
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry "
            f"was {sizes[-1]}; expected {largest}"
        )


def _value(parameters: Any, name: str, default: Any) -> Any:
    return getattr(parameters, name).value if parameters.HasField(name) else default
