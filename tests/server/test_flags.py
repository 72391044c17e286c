import pytest

from serving.server.errors import ServingError
from serving.server.flags import FlagError, Flags, check, parse, usage


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


def test_flags_of_the_original_without_effect_are_named():
    line = parse(
        ["--enable_batching", "--rest_api_port=8501", "--max_num_load_retries", "0"]
    )
    assert line.warnings == (
        "--enable_batching has no effect here",
        "--rest_api_port has no effect here",
        "--max_num_load_retries has no effect here",
    )


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
            ["--model_name=a", "--model_base_path=gold/affine"],
            "INVALID_ARGUMENT: Expected model a to have an absolute path or URI; got "
            "base_path()=gold/affine",
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
            [BASE, "--ssl_config_file=/s"],
            "UNIMPLEMENTED: --ssl_config_file is not supported by the embedded server "
            "yet",
        ),
    ],
)
def test_start_errors(argv, message):
    with pytest.raises(ServingError) as error:
        check(parse(argv))
    assert str(error.value) == message


def test_good_flags_pass():
    check(parse([BASE]))
    check(
        parse(["--model_base_path=file:///m", "--port=0", "--grpc_socket_path=/tmp/s"])
    )


def test_usage_has_the_layout_of_the_original():
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
