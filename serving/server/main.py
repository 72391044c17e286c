"""Start the server, serve until a signal arrives, drain, exit."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence

import grpc

from fovea.serving.server import port
from fovea.serving.server.errors import ServingError
from fovea.serving.server.flag_table import Flags
from fovea.serving.server.flags import (
    CommandLine,
    FlagError,
    check,
    parse,
    usage,
    without_rest_on_grpc_port,
)
from fovea.serving.server.native_stderr import native_stderr_quiet
from fovea.serving.server.signals import Signals, end_process

log = logging.getLogger("fovea.serving.server")

EXIT_START_FAILED = 255  # -1, as TensorFlow Serving's


def run(argv: Sequence[str], program: str = "fovea serve") -> int:
    """Serve with the flags of `tensorflow_model_server` until SIGTERM or Ctrl-C.

    Only the main thread can call this, since it handles signals.

    Args:
        argv: The arguments without the program's name.
        program: The program's name in the usage text.

    Returns:
        The exit code: 0 after a drain, 255 if the server could not start.
    """
    try:
        line = parse(argv)
    except FlagError as error:
        print(error, file=sys.stderr)
        print(usage(program))
        return EXIT_START_FAILED
    if line.flags.help:
        print(usage(program))
        return 0
    if line.flags.version:
        print(_versions())
        return 0
    if line.unknown:  # TensorFlow Serving prints this and starts as well
        print(f"unknown argument: {line.unknown[0]}\n{usage(program)}", flush=True)
    with _logging(), Signals() as signals:
        try:
            return _serve(line, signals)
        except ServingError as error:
            log.error("Failed to start server. Error: %s", error)
            return EXIT_START_FAILED


def _serve(line: CommandLine, signals: Signals) -> int:
    for warning in line.warnings:
        log.warning(warning)
    check(line.flags)
    flags, error = without_rest_on_grpc_port(line.flags)
    if error:
        log.error(error)
    with _reporting_missing_packages():
        from fovea.serving.server.telemetry import access_log, tracing
    with access_log.writing(flags.access_log), tracing.tracing():
        return _serve_flags(flags, signals)


def _serve_flags(flags: Flags, signals: Signals) -> int:
    with port.reserve(flags.bind, flags.port) as reserved:
        with _reporting_missing_packages():
            from fovea.serving.server.batching import parameters as batching_parameters
            from fovea.serving.server.lifecycle import model_config, versions
            from fovea.serving.server.rpc import tls
        # Report errors now, not after the seconds that TensorFlow needs to start.
        config = model_config.read_config(flags)
        model_config.validate(config.model_config_list)
        for model in config.model_config_list.config:
            versions.numbered_children(model.name, model_config.local_path(model))
        if flags.enable_batching and flags.batching_parameters_file:
            parameters = batching_parameters.read(flags.batching_parameters_file)
            batching_parameters.pool_options(parameters)
        credentials = None
        if flags.ssl_config_file:
            credentials = tls.server_credentials(flags.ssl_config_file)
        with _reporting_missing_packages():
            _start_tensorflow()
            from fovea.serving.server.server import Server
        server = Server(flags)
        server.load(config)
        reserved.close()
        server.open(credentials)
    _announce(flags)
    if server.open_rest():
        log.info("Exporting HTTP/REST API at:localhost:%d ...", flags.rest_api_port)
    log.info("%s: draining, at most %g s", signals.wait(), flags.drain_seconds)
    if not server.drain(flags.drain_seconds):
        log.warning("Ended with unfinished requests after %g s", flags.drain_seconds)
        end_process(0)
    log.info("Drained: every accepted request has ended")
    return 0


@contextlib.contextmanager
def _reporting_missing_packages() -> Iterator[None]:
    """Turn a missing package into an error that says how to install it.

    Raises:
        ServingError: FAILED_PRECONDITION; it names the package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ServingError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"the server needs {error.name}: pip install 'fovea[serve]'",
        ) from None


def _announce(flags: Flags) -> None:
    if flags.port:
        address = port.join(flags.bind, flags.port)
        log.info("Running gRPC ModelServer at %s ...", address)
    if flags.grpc_socket_path:
        log.info(
            "Running gRPC ModelServer at UNIX socket %s ...", flags.grpc_socket_path
        )


def _start_tensorflow() -> None:
    """Import TensorFlow without its greeting; environment variables override ours."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # clients receive the errors
    # Serving needs no Keras, and without it TensorFlow is imported 3 s faster.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    log.info("Starting TensorFlow")
    started = time.monotonic()
    with native_stderr_quiet():
        import tensorflow as tf

    tf.get_logger().setLevel(logging.ERROR)
    gc.collect()
    gc.freeze()  # imported modules are never garbage: do not scan them again
    log.info(
        "TensorFlow %s started in %.1f s", tf.__version__, time.monotonic() - started
    )


def _versions() -> str:
    def version(package: str) -> str:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return "not installed"

    return (
        f"TensorFlow ModelServer: {version('fovea')}+fovea\n"
        f"TensorFlow Library: {version('tensorflow')}"
    )


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Log our events and gRPC's to stderr, one line each."""
    line = logging.Formatter("%(asctime)s %(levelname).1s %(message)s")
    handler = logging.StreamHandler()
    handler.setFormatter(line)
    grpc_handler = logging.StreamHandler()
    grpc_handler.setFormatter(line)
    grpc_handler.addFilter(_without_traceback)
    handlers = {"fovea.serving.server": handler, "grpc": grpc_handler}
    before = {name: logging.getLogger(name).propagate for name in handlers}
    log.setLevel(logging.INFO)
    for name, own in handlers.items():
        logging.getLogger(name).addHandler(own)
        logging.getLogger(name).propagate = False
    try:
        yield
    finally:
        for name, own in handlers.items():
            logging.getLogger(name).removeHandler(own)
            logging.getLogger(name).propagate = before[name]


def _without_traceback(record: logging.LogRecord) -> bool:
    """Drop the traceback that gRPC logs for each malformed request."""
    record.exc_info = record.exc_text = None
    return True
