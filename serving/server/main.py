"""Start the server, serve until a signal comes, drain, end."""

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
from fovea.serving.server.flags import (
    CommandLine,
    FlagError,
    Flags,
    check,
    parse,
    usage,
    without_rest_on_the_port_of_grpc,
)
from fovea.serving.server.native_stderr import native_stderr_quiet
from fovea.serving.server.signals import Signals, end_process

log = logging.getLogger("fovea.serving.server")

EXIT_START_FAILED = 255  # the original's -1


def run(argv: Sequence[str], program: str = "fovea serve") -> int:
    """Serve with the flags of ``tensorflow_model_server`` until SIGTERM or Ctrl-C.

    For the main thread, since it handles signals.

    Args:
        argv: The arguments without the program's name.
        program: The name that the usage text shows.

    Returns:
        The exit code: 0 after a drain, 255 when the server could not start.
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
    if line.unknown:  # like the original: tell, and go on
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
    flags, refused = without_rest_on_the_port_of_grpc(line.flags)
    if refused:
        log.error(refused)
    with _packages():
        from fovea.serving.server.telemetry import access_log, tracing
    with access_log.writing(flags.access_log), tracing.tracing():
        return _serve_flags(flags, signals)


def _serve_flags(flags: Flags, signals: Signals) -> int:
    with port.reserve(flags.bind, flags.port) as reserved:
        with _packages():
            from fovea.serving.server.batching import parameters as batching_parameters
            from fovea.serving.server.lifecycle import model_config, versions
            from fovea.serving.server.rpc import tls
        # What is wrong is told now, not after the seconds that TensorFlow takes.
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
        with _packages():
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
        log.warning("Ended with requests unanswered after %g s", flags.drain_seconds)
        end_process(0)
    log.info("Drained: every accepted request is answered")
    return 0


@contextlib.contextmanager
def _packages() -> Iterator[None]:
    """Tell what to install when a package is not there.

    Raises:
        ServingError: It names the package.
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
    """Import TensorFlow, fast and quiet; variables that are set already win."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors reach the client
    # Serving needs no Keras; without importing it TensorFlow starts 3 s sooner.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    log.info("Starting TensorFlow")
    started = time.monotonic()
    with native_stderr_quiet():
        import tensorflow as tf

    tf.get_logger().setLevel(logging.ERROR)
    gc.collect()
    gc.freeze()  # what imports left is never garbage: do not search it again
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
    """One line per event on stderr, ours and gRPC's."""
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
    """gRPC logs a traceback for each request that a client garbled; a line will do."""
    record.exc_info = record.exc_text = None
    return True
