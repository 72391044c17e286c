"""BatchingParameters: the file of all models, that of one version, what they mean."""

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
        name: What the threads are called.
    """

    threads: int
    name: str = THREAD_POOL_NAME


@dataclass(frozen=True)
class QueueOptions:
    """How a model's requests are put together.

    Attributes:
        max_batch_size: The rows that one request may have.
        max_execution_batch_size: The rows that run together.
        batch_timeout: Seconds that a request waits for others.
        max_enqueued_batches: How many batches may wait; the one that is being filled
            counts, those that run do not.
        allowed_batch_sizes: To which of these a batch is padded; none: to no size.
        pad_variable_length_inputs: Whether requests of other shapes may be padded to
            the largest, rather than run apart.
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
        """The size to which a batch of so many rows is padded."""
        return min((s for s in self.allowed_batch_sizes if s >= rows), default=rows)


def read(path: str) -> Any:
    """The parameters in a file.

    Raises:
        ServingError: There is no such file, or it holds something else.
    """
    return read_text_proto(path, BatchingParameters())


def pool_options(parameters: Any | None) -> PoolOptions:
    """What parameters say about the threads.

    Args:
        parameters: Those of ``--batching_parameters_file``; None without the flag.

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
    """How the requests of one version are put together.

    Args:
        parameters: Those of ``--batching_parameters_file``; None without the flag.
        version_path: The version directory.
        per_model: Whether the file in the version directory counts, and it alone.

    Returns:
        The options, or None when its requests run one by one: a version without a
        file of its own does, where the versions' files count.

    Raises:
        ServingError: The parameters cannot be read or make no sense.
    """
    if per_model:
        file = version_path / VERSION_FILE
        if not file.exists():
            return None
        parameters = read(str(file))
    return queue_options(BatchingParameters() if parameters is None else parameters)


def queue_options(parameters: Any) -> QueueOptions:
    """What parameters say about queues.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    default = QueueOptions()
    _check_sizes(parameters, default.max_batch_size)
    # Negative sizes are huge ones, since the original keeps them unsigned.
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
            f"1{largest}{execution}"  # appended without a blank by the original, too
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
    """Refuse allowed sizes that no batch could have."""
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
