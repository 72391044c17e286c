import pytest

from fovea.serving.server.errors import ServingError
from fovea.serving.server.flag_table import Flags
from fovea.serving.server.flags import (
    FlagError,
    check,
    parse,
    usage,
    without_rest_on_grpc_port,
)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], Flags()),
        (["--port=1", "--model_name", "m"], Flags(port=1, model_name="m")),
        (["--model_base_path=/a=b"], Flags(model_base_path="/a=b")),
        (["--enable_model_warmup=false"], Flags(enable_model_warmup=False)),
        (["--enable_model_warmup", "0"], Flags(enable_model_warmup=False)),
        (["--enable_model_warmup", "--port", "2"], Flags(port=2)),
        (["--enable_model_warmup=True"], Flags()),
        (["--drain_seconds=0.5"], Flags(drain_seconds=0.5)),
        (
            ["--file_system_poll_wait_seconds=-1"],
            Flags(file_system_poll_wait_seconds=-1),
        ),
    ],
)
def test_both_syntaxes_and_all_forms_of_a_bool(argv, expected):
    line = parse(argv)
    assert line.flags == expected
    assert not line.warnings
    assert not line.unknown


@pytest.mark.parametrize(
    "argv",
    [
        ["--port=abc"],
        ["--port=4294967296"],
        ["--enable_model_warmup=perhaps"],
        ["--port"],
    ],
)
def test_a_value_that_cannot_be_read(argv):
    with pytest.raises(FlagError, match=r"Couldn't interpret value .* for flag"):
        parse(argv)


def test_unknown_arguments_are_kept_in_order():
    line = parse(["stray", "--no_such_flag=1", "--port=7", "-port=8"])
    assert line.unknown == ("stray", "--no_such_flag=1", "-port=8")
    assert line.flags.port == 7


def test_flags_of_tensorflow_serving_without_effect_are_named_once():
    line = parse(
        [
            "--flush_filesystem_caches",
            "--enable_profiler=false",
            "--mixed_precision",
            "bfloat16",
            "--enable_profiler",
        ]
    )
    assert line.warnings == (
        "--flush_filesystem_caches has no effect here",
        "--enable_profiler has no effect here",
        "--mixed_precision has no effect here",
    )


def test_every_flag_of_tensorflow_serving_is_known_with_its_default():
    flags = Flags()
    known = {name: getattr(flags, name) for name in DEFAULTS if hasattr(flags, name)}
    assert known == {name: DEFAULTS[name] for name in known}
    line = parse([f"--{name}={DEFAULTS[name]}" for name in DEFAULTS])
    assert line.unknown == ()
    assert line.flags == flags


# Names and defaults of tensorflow_model_server 2.20.
DEFAULTS = {
    "port": 8500,
    "grpc_socket_path": "",
    "rest_api_port": 0,
    "rest_api_num_threads": 0,  # its help says 4 times the CPUs
    "grpc_max_threads": 0,  # likewise
    "rest_api_timeout_in_ms": 30000,
    "rest_api_enable_cors_support": False,
    "model_name": "default",
    "model_base_path": "",
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": 0,
    "file_system_poll_wait_seconds": 1,
    "num_load_threads": 0,
    "num_unload_threads": 0,
    "max_num_load_retries": 5,
    "load_retry_interval_micros": 60_000_000,
    "flush_filesystem_caches": True,
    "allow_version_labels_for_unavailable_models": False,
    "enable_batching": False,
    "batching_parameters_file": "",
    "enable_per_model_batching_parameters": False,
    "tensorflow_session_parallelism": 0,
    "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0,
    "tensorflow_session_config_file": "",
    "per_process_gpu_memory_fraction": 0,
    "saved_model_tags": "serve",
    "ssl_config_file": "",
    "use_alts_credentials": False,
    "grpc_channel_arguments": "",
    "enable_model_warmup": True,
    "num_request_iterations_for_warmup": 0,
    "monitoring_config_file": "",
    "enable_grpc_healthcheck_service": False,
    "enable_profiler": True,
    "enable_serialization_as_tensor_content": False,
    "enable_signature_method_name_check": False,
    "remove_unused_fields_from_bundle_metagraph": True,
    "prefer_tflite_model": False,
    "mixed_precision": "",
    "thread_pool_factory_config_file": "",
    "platform_config_file": "",
    "skip_initialize_tpu": False,
    "version": False,
}

BASE = "--model_base_path=/m"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            [],
            "INVALID_ARGUMENT: Both server_options.model_base_path and "
            "server_options.model_config_file are empty!",
        ),
        (
            ["--port=0", BASE],
            "INVALID_ARGUMENT: At least one of server_options.grpc_port or "
            "server_options.grpc_socket_path must be set.",
        ),
        (
            [BASE, "--batching_parameters_file=/b"],
            "INVALID_ARGUMENT: server_options.batching_parameters_file is set without "
            "setting server_options.enable_batching to true.",
        ),
        (
            [BASE, "--use_alts_credentials", "--ssl_config_file=/s"],
            "INVALID_ARGUMENT: Either use_alts_credentials must be false or "
            "ssl_config_file must be empty.",
        ),
        (
            [
                BASE,
                "--tensorflow_session_parallelism=1",
                "--tensorflow_intra_op_parallelism=1",
                "--tensorflow_inter_op_parallelism=1",
            ],
            "INVALID_ARGUMENT: Either configure "
            "server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, "
            "server_options.tensorflow_inter_op_parallelism) separately. "
            "You cannot configure all.",
        ),
        (
            ["--port=70000", BASE],
            "INVALID_ARGUMENT: --port must be in 0..65535. Received: 70000",
        ),
        (
            [BASE, "--use_alts_credentials"],
            "UNIMPLEMENTED: --use_alts_credentials is not supported",
        ),
    ],
)
def test_start_errors(argv, message):
    with pytest.raises(ServingError) as error:
        check(parse(argv).flags)
    assert str(error.value) == message


def test_good_flags_pass():
    check(parse([BASE]).flags)
    check(parse([BASE, "--port=0", "--grpc_socket_path=/tmp/s"]).flags)
    check(parse(["--model_config_file=/c"]).flags)


def test_rest_is_disabled_on_the_port_of_grpc():
    both = parse(["--port=1", "--rest_api_port=1"]).flags
    flags, error = without_rest_on_grpc_port(both)
    assert (flags.port, flags.rest_api_port) == (1, 0)
    assert error.startswith("server_options.http_port cannot be same as grpc_port.")
    other = parse(["--port=1", "--rest_api_port=2"]).flags
    assert without_rest_on_grpc_port(other) == (other, "")


def test_usage_has_the_layout_of_tensorflow_serving():
    lines = usage("tensorflow_model_server").splitlines()
    assert lines[:4] == [
        "usage: tensorflow_model_server",
        "Flags:",
        "\t--port=8500                      \tint32\tTCP port to listen on for "
        "gRPC/HTTP API. Disabled if port set to zero.",
        '\t--grpc_socket_path=""            \tstring\tIf non-empty, listen to a UNIX '
        "socket for gRPC API on the given path. Can be either relative or absolute "
        "path.",
    ]
