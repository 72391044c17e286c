"""The command line of ``tensorflow_model_server``: its names, syntax and texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from serving.server.errors import ServingError, invalid_argument


@dataclass(frozen=True)
class Flags:
    """The values of the flags that have an effect; the names are the flags' names."""

    port: int = 8500
    grpc_socket_path: str = ""
    bind: str = "127.0.0.1"
    model_name: str = "default"
    model_base_path: str = ""
    file_system_poll_wait_seconds: float = 1
    saved_model_tags: str = "serve"
    enable_model_warmup: bool = True
    enable_serialization_as_tensor_content: bool = False
    enable_signature_method_name_check: bool = False
    grpc_max_threads: int = 0
    grpc_channel_arguments: str = ""
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    drain_seconds: float = 20
    version: bool = False
    help: bool = False


@dataclass(frozen=True)
class _Flag:
    name: str
    type: str
    help: str


_EFFECTIVE = (
    _Flag(
        "port",
        "int32",
        "TCP port to listen on for gRPC/HTTP API. Disabled if port set to zero.",
    ),
    _Flag(
        "grpc_socket_path",
        "string",
        "If non-empty, listen to a UNIX socket for gRPC API on the given path. "
        "Can be either relative or absolute path.",
    ),
    _Flag(
        "bind",
        "string",
        "Address to listen on; 0.0.0.0 lets other machines in. Not a flag of "
        "tensorflow_model_server, which always listens on 0.0.0.0.",
    ),
    _Flag("model_name", "string", "Name that requests give to the model."),
    _Flag(
        "model_base_path",
        "string",
        "Absolute path of the directory that holds the numbered versions.",
    ),
    _Flag(
        "file_system_poll_wait_seconds",
        "float",
        "Seconds between two looks for a new version; 0: look once, at start.",
    ),
    _Flag(
        "saved_model_tags",
        "string",
        "Comma-separated set of tags of the meta graph to load.",
    ),
    _Flag(
        "enable_model_warmup",
        "bool",
        "Replay assets.extra/tf_serving_warmup_requests before serving a version.",
    ),
    _Flag(
        "enable_serialization_as_tensor_content",
        "bool",
        "Answer Predict with tensors as raw bytes (tensor_content).",
    ),
    _Flag(
        "enable_signature_method_name_check",
        "bool",
        "Refuse requests to signatures whose method name is of another kind.",
    ),
    _Flag(
        "grpc_max_threads",
        "int32",
        "Requests that run at the same time; 0: 4 times the usable CPUs.",
    ),
    _Flag(
        "grpc_channel_arguments",
        "string",
        "Comma-separated arguments of the gRPC server "
        "(e.g. grpc.max_connection_age_ms=2000).",
    ),
    _Flag(
        "tensorflow_session_parallelism",
        "int64",
        "Threads of a TensorFlow session, within and between operations; 0: auto.",
    ),
    _Flag(
        "tensorflow_intra_op_parallelism",
        "int64",
        "Threads within one operation; 0: auto.",
    ),
    _Flag(
        "tensorflow_inter_op_parallelism",
        "int64",
        "Operations that run at the same time; 0: auto.",
    ),
    _Flag(
        "drain_seconds",
        "float",
        "After SIGTERM or Ctrl-C, seconds that running requests have to finish. "
        "Not a flag of tensorflow_model_server, which drops them.",
    ),
    _Flag("version", "bool", "Print the version and exit."),
    _Flag("help", "bool", "Print this text and exit."),
)

# Flags of tensorflow_model_server that the embedded server takes and leaves alone.
_WITHOUT_EFFECT = {
    "rest_api_port": "int32",
    "rest_api_num_threads": "int32",
    "rest_api_timeout_in_ms": "int32",
    "rest_api_enable_cors_support": "bool",
    "model_config_file_poll_wait_seconds": "int32",
    "num_load_threads": "int32",
    "num_unload_threads": "int32",
    "max_num_load_retries": "int32",
    "load_retry_interval_micros": "int64",
    "flush_filesystem_caches": "bool",
    "allow_version_labels_for_unavailable_models": "bool",
    "enable_batching": "bool",
    "batching_parameters_file": "string",
    "enable_per_model_batching_parameters": "bool",
    "tensorflow_session_config_file": "string",
    "per_process_gpu_memory_fraction": "float",
    "num_request_iterations_for_warmup": "int32",
    "monitoring_config_file": "string",
    "enable_grpc_healthcheck_service": "bool",
    "enable_profiler": "bool",
    "remove_unused_fields_from_bundle_metagraph": "bool",
    "prefer_tflite_model": "bool",
    "mixed_precision": "string",
    "thread_pool_factory_config_file": "string",
    "platform_config_file": "string",
    "skip_initialize_tpu": "bool",
}

# Not taken: to go on without them would serve nothing, or in the clear what the
# operator wants encrypted.
_REFUSED = {
    "model_config_file": "string",
    "ssl_config_file": "string",
    "use_alts_credentials": "bool",
}

_TYPES = {flag.name: flag.type for flag in _EFFECTIVE} | _WITHOUT_EFFECT | _REFUSED
_BOOLS = {"true": True, "1": True, "": True, "false": False, "0": False}


class FlagError(Exception):
    """A flag whose value cannot be read; the text is the original's."""


@dataclass(frozen=True)
class CommandLine:
    """What the arguments say.

    Attributes:
        flags: The flags that have an effect.
        warnings: One line for each flag that is accepted without effect.
        unknown: The arguments that are no flag of this server.
        given: Every known flag that was given, with its value.
    """

    flags: Flags
    warnings: tuple[str, ...]
    unknown: tuple[str, ...]
    given: dict[str, Any]


def parse(argv: Sequence[str]) -> CommandLine:
    """Read the arguments as ``tensorflow_model_server`` does.

    ``--flag=value`` and ``--flag value``; a bool alone is true. An unknown argument
    is no error: the original prints its usage and starts all the same.

    Args:
        argv: The arguments without the program's name.

    Raises:
        FlagError: A value is not of its flag's type.
    """
    given: dict[str, Any] = {}
    unknown = []
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or name not in _TYPES:
            unknown.append(argument)
            continue
        kind = _TYPES[name]
        if not equals and kind == "bool":
            value = rest.pop(0) if rest and rest[0].lower() in _BOOLS else ""
        elif not equals:
            if not rest:
                raise FlagError(f"Couldn't interpret value  for flag {name}.")
            value = rest.pop(0)
        given[name] = _value(name, kind, value)
    fields = {field.name for field in dataclasses.fields(Flags)}
    flags = Flags(**{name: given[name] for name in given if name in fields})
    warnings = tuple(
        f"--{name} has no effect here" for name in given if name in _WITHOUT_EFFECT
    )
    return CommandLine(flags, warnings, tuple(unknown), given)


def _value(name: str, kind: str, text: str) -> Any:
    readers: dict[str, Callable[[str], Any]] = {
        "int32": lambda text: _integer(text, 31),
        "int64": lambda text: _integer(text, 63),
        "float": float,
        "bool": lambda text: _BOOLS[text.lower()],
        "string": str,
    }
    try:
        return readers[kind](text)
    except (KeyError, ValueError):
        raise FlagError(f"Couldn't interpret value {text} for flag {name}.") from None


def _integer(text: str, bits: int) -> int:
    number = int(text)
    if not -(2**bits) <= number < 2**bits:
        raise ValueError(text)
    return number


def check(line: CommandLine) -> None:
    """Refuse flags that cannot be served with, in the original's words and order.

    Raises:
        ServingError: The first rule that is broken.
    """
    flags, given = line.flags, line.given
    if flags.port == 0 and not flags.grpc_socket_path:
        raise invalid_argument(
            "At least one of server_options.grpc_port or "
            "server_options.grpc_socket_path must be set."
        )
    if not 0 <= flags.port < 2**16:
        raise invalid_argument(f"--port must be in 0..65535. Received: {flags.port}")
    if given.get("use_alts_credentials") and given.get("ssl_config_file"):
        raise invalid_argument(
            "Either use_alts_credentials must be false or ssl_config_file must be "
            "empty."
        )
    if not flags.model_base_path and not given.get("model_config_file"):
        raise invalid_argument(
            "Both server_options.model_base_path and "
            "server_options.model_config_file are empty!"
        )
    for name in _REFUSED:
        if given.get(name):
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"--{name} is not supported by the embedded server yet",
            )
    if given.get("batching_parameters_file") and not given.get("enable_batching"):
        raise invalid_argument(
            "server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true."
        )
    if (
        flags.tensorflow_session_parallelism > 0
        and flags.tensorflow_intra_op_parallelism > 0
        and flags.tensorflow_inter_op_parallelism > 0
    ):
        raise invalid_argument(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, "
            "server_options.tensorflow_inter_op_parallelism) separately. "
            "You cannot configure all."
        )
    if not flags.model_base_path.startswith("/") and "://" not in flags.model_base_path:
        raise invalid_argument(
            f"Expected model {flags.model_name} to have an absolute path or URI; "
            f"got base_path()={flags.model_base_path}"
        )


def usage(program: str) -> str:
    """The text of ``--help``, in the original's layout."""
    defaults = Flags()
    lines = [f"usage: {program}", "Flags:"]
    for flag in _EFFECTIVE:
        default = getattr(defaults, flag.name)
        shown = f'"{default}"' if isinstance(default, str) else str(default).lower()
        lines.append(f"\t{f'--{flag.name}={shown}':<33}\t{flag.type}\t{flag.help}")
    lines.append("Flags of tensorflow_model_server that have no effect here:")
    lines.extend(
        f"\t{f'--{name}':<33}\t{_WITHOUT_EFFECT[name]}" for name in _WITHOUT_EFFECT
    )
    return "\n".join(lines)
