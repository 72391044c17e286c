"""The parameter files' fields, and the precedence of the files."""

import pytest

from fovea.serving.server.batching.parameters import (
    PoolOptions,
    QueueOptions,
    pool_options,
    read,
    version_options,
)
from fovea.serving.server.cpus import usable_cpus
from fovea.serving.server.errors import ServingError


@pytest.fixture
def parameters(tmp_path):
    def parameters(text):
        file = tmp_path / "batching.config"
        file.write_text(text)
        return read(str(file))

    return parameters


def test_defaults(parameters, tmp_path):
    assert pool_options(None) == PoolOptions(
        usable_cpus(), "model_server_batch_threads"
    )
    assert pool_options(parameters("")) == PoolOptions(usable_cpus(), "batch_threads")
    expected = QueueOptions(
        max_batch_size=1000,
        max_execution_batch_size=1000,
        batch_timeout=0,
        max_enqueued_batches=10,
    )
    assert version_options(None, tmp_path, False) == expected
    assert version_options(parameters(""), tmp_path, False) == expected


def test_every_parameter(parameters, tmp_path):
    given = parameters(
        """
        max_batch_size { value: 128 }
        batch_timeout_micros { value: 1500 }
        max_enqueued_batches { value: 7 }
        num_batch_threads { value: 3 }
        thread_pool_name { value: "mine" }
        allowed_batch_sizes: 8
        allowed_batch_sizes: 128
        pad_variable_length_inputs: true
        enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 32 }
        """
    )
    assert pool_options(given) == PoolOptions(3, "mine")
    assert version_options(given, tmp_path, False) == QueueOptions(
        max_batch_size=128,
        max_execution_batch_size=32,
        batch_timeout=0.0015,
        max_enqueued_batches=7,
        allowed_batch_sizes=(8, 128),
        pad_variable_length_inputs=True,
        split=True,
    )


def test_the_execution_size_applies_only_with_splitting(parameters, tmp_path):
    text = "max_batch_size { value: 8 } max_execution_batch_size { value: 2 }"
    options = version_options(parameters(text), tmp_path, False)
    assert (options.max_execution_batch_size, options.split) == (8, False)
    text = "max_batch_size { value: 8 } enable_large_batch_splitting { value: true }"
    options = version_options(parameters(text), tmp_path, False)
    assert (options.max_execution_batch_size, options.split) == (8, True)


def test_a_queue_holds_at_least_one_batch(parameters, tmp_path):
    given = parameters("max_enqueued_batches { value: 0 }")
    assert version_options(given, tmp_path, False).max_enqueued_batches == 1


def test_the_file_of_a_version_replaces_the_server_s(parameters, tmp_path):
    common = parameters("max_batch_size { value: 4 } max_enqueued_batches { value: 2 }")
    version = tmp_path / "1"
    version.mkdir()
    assert version_options(common, version, True) is None
    (version / "batching_params.pbtxt").write_text("max_batch_size { value: 16 }")
    options = version_options(common, version, True)
    assert (options.max_batch_size, options.max_enqueued_batches) == (16, 10)
    assert version_options(common, version, False).max_batch_size == 4


def test_a_file_of_a_version_that_cannot_be_read(tmp_path):
    file = tmp_path / "batching_params.pbtxt"
    file.write_text("nonsense: 3")
    with pytest.raises(ServingError) as caught:
        version_options(None, tmp_path, True)
    assert str(caught.value) == f"INVALID_ARGUMENT: Invalid protobuf file: '{file}'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "max_batch_size { value: 32 } allowed_batch_sizes: 8",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry "
            "was 8; expected 32",
        ),
        (
            "allowed_batch_sizes: 8",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry "
            "was 8; expected 1000",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: [4, 4, 8]",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        (
            "max_batch_size { value: 0 }",
            "input_batch_size_limit must be positive; was 0",
        ),
        (
            "batch_timeout_micros { value: -1 }",
            "batch_timeout_micros must be non-negative; was -1",
        ),
        (
            "max_enqueued_batches { value: 0 } "
            "enable_large_batch_splitting { value: true }",
            "max_enqueued_batches must be positive; was 0",
        ),
        (
            "max_batch_size { value: 4 } max_execution_batch_size { value: 8 } "
            "enable_large_batch_splitting { value: true }",
            "When enable_large_batch_splitting is true, input_batch_size_limit must be "
            "greater than or equal to max_execution_batch_size.148",
        ),
    ],
)
def test_invalid_parameters(parameters, tmp_path, text, message):
    with pytest.raises(ServingError) as caught:
        version_options(parameters(text), tmp_path, False)
    assert str(caught.value) == f"INVALID_ARGUMENT: {message}"


def test_there_is_at_least_one_thread(parameters):
    with pytest.raises(ServingError) as caught:
        pool_options(parameters("num_batch_threads { value: 0 }"))
    assert str(caught.value) == (
        "INVALID_ARGUMENT: num_batch_threads must be positive; was 0"
    )


@pytest.mark.parametrize(
    ("allowed", "padded"), [((), 5), ((2, 8), 8), ((5,), 5), ((2, 4), 5)]
)
def test_the_next_allowed_size(allowed, padded):
    assert QueueOptions(allowed_batch_sizes=allowed).padded(5) == padded
