"""The command line of `tensorflow_model_server`: its names, syntax and texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.flag_table import WITHOUT_EFFECT, Flags

_TYPES = {
    field.name: field.metadata["type"] for field in dataclasses.fields(Flags)
} | WITHOUT_EFFECT
_BOOLS = {"true": True, "1": True, "": True, "false": False, "0": False}


class FlagError(Exception):
    """A flag whose value cannot be read; the text is TensorFlow Serving's."""


@dataclass(frozen=True)
class CommandLine:
    """The parsed arguments.

    Attributes:
        flags: The flags that have an effect.
        warnings: One line for each flag that is accepted without effect.
        unknown: The arguments that are not flags of this server.
    """

    flags: Flags
    warnings: tuple[str, ...]
    unknown: tuple[str, ...]


def parse(argv: Sequence[str]) -> CommandLine:
    """Parse the arguments as `tensorflow_model_server` does.

    Both `--flag=value` and `--flag value` are accepted; a bool alone is true. An
    unknown argument is not an error: TensorFlow Serving prints its usage and starts.

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
    flags = Flags(**{name: given[name] for name in given if name not in WITHOUT_EFFECT})
    warnings = tuple(
        f"--{name} has no effect here" for name in given if name in WITHOUT_EFFECT
    )
    return CommandLine(flags, warnings, tuple(unknown))


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


def check(flags: Flags) -> None:
    """Check that the server can start, with TensorFlow Serving's texts and order.

    Raises:
        ServingError: It names the first rule that is broken.
    """
    if flags.port == 0 and not flags.grpc_socket_path:
        raise invalid_argument(
            "At least one of server_options.grpc_port or "
            "server_options.grpc_socket_path must be set."
        )
    if not 0 <= flags.port < 2**16:
        raise invalid_argument(f"--port must be in 0..65535. Received: {flags.port}")
    if flags.use_alts_credentials and flags.ssl_config_file:
        raise invalid_argument(
            "Either use_alts_credentials must be false or ssl_config_file must be "
            "empty."
        )
    if flags.use_alts_credentials:  # plain text would not be what the user wants
        raise ServingError(
            grpc.StatusCode.UNIMPLEMENTED, "--use_alts_credentials is not supported"
        )
    if not flags.model_base_path and not flags.model_config_file:
        raise invalid_argument(
            "Both server_options.model_base_path and "
            "server_options.model_config_file are empty!"
        )
    if flags.batching_parameters_file and not flags.enable_batching:
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


def without_rest_on_grpc_port(flags: Flags) -> tuple[Flags, str]:
    """Disable REST if it has the same port as gRPC.

    Returns:
        The flags to serve with, and an error to log, "" for none.
    """
    if flags.rest_api_port == 0 or flags.rest_api_port != flags.port:
        return flags, ""
    return dataclasses.replace(flags, rest_api_port=0), (
        "server_options.http_port cannot be same as grpc_port. Please use a different "
        "port for HTTP/REST API. Skipped exporting HTTP/REST API."
    )


def usage(program: str) -> str:
    """Return the text of `--help`, in TensorFlow Serving's layout."""
    lines = [f"usage: {program}", "Flags:"]
    for flag in dataclasses.fields(Flags):
        default, about = flag.default, flag.metadata
        shown = f'"{default}"' if isinstance(default, str) else str(default).lower()
        lines.append(
            f"\t{f'--{flag.name}={shown}':<33}\t{about['type']}\t{about['help']}"
        )
    lines.append("Flags of tensorflow_model_server that have no effect here:")
    lines.extend(
        f"\t{f'--{name}':<33}\t{WITHOUT_EFFECT[name]}" for name in WITHOUT_EFFECT
    )
    return "\n".join(lines)
