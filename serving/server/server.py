"""The server: models, manager, gRPC services and REST."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2_grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from fovea.serving.server import port
from fovea.serving.server.batching import parameters as batching_parameters
from fovea.serving.server.batching.runner import BatchingRunner
from fovea.serving.server.batching.scheduler import Scheduler
from fovea.serving.server.cpus import usable_cpus
from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.flag_table import Flags
from fovea.serving.server.lifecycle.configured import ConfiguredModels
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.model_config import read_config
from fovea.serving.server.lifecycle.periodic import Periodic
from fovea.serving.server.lifecycle.states import Retries
from fovea.serving.server.lifecycle.versions import AspiredVersion
from fovea.serving.server.rest.gateway import Gateway
from fovea.serving.server.rest.handler import Handler
from fovea.serving.server.rpc.drain import DrainInterceptor
from fovea.serving.server.rpc.health import Health
from fovea.serving.server.rpc.reflection import Reflection
from fovea.serving.server.rpc.services import ModelService, PredictionService
from fovea.serving.server.rpc.threads import GrpcThreads
from fovea.serving.server.saved_model.files import missing_part
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.session_config import session_config
from fovea.serving.server.saved_model.session_runner import Runner
from fovea.serving.server.telemetry import metrics, monitoring
from fovea.serving.server.warmup import warm_up

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 2**31 - 1

# Accepted calls per thread: one that runs, the others in the queue. Further calls are
# refused with RESOURCE_EXHAUSTED.
CALLS_PER_THREAD = 8


class Server:
    """The embedded server: call `load`, `open`, and in the end `drain`.

    Args:
        flags: The command line, checked.

    Raises:
        ServingError: A configuration file cannot be read, or the threads that run
            batches cannot be started.
    """

    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self._session_config = session_config(flags)
        self._batching_parameters = None
        if flags.batching_parameters_file:
            self._batching_parameters = batching_parameters.read(
                flags.batching_parameters_file
            )
        self._scheduler: Scheduler | None = None
        if flags.enable_batching:
            self._scheduler = Scheduler(
                batching_parameters.pool_options(self._batching_parameters)
            )
        self._health = Health()
        self._reflection = Reflection()
        self._manager = Manager(
            self._load_version,
            self._health.model,
            Retries(flags.max_num_load_retries, flags.load_retry_interval_micros / 1e6),
            max(1, flags.num_load_threads),
            max(1, flags.num_unload_threads),
        )
        self._models = ConfiguredModels(
            self._manager,
            missing_part,
            flags.file_system_poll_wait_seconds,
            flags.allow_version_labels_for_unavailable_models,
        )
        self._config_poll: Periodic | None = None
        self._rest: Gateway | None = None
        threads = flags.grpc_max_threads or 4 * usable_cpus()
        self._drain_interceptor = DrainInterceptor()
        pool = GrpcThreads(threads, threads * CALLS_PER_THREAD)
        self._grpc = grpc.server(
            pool,
            interceptors=[self._drain_interceptor],
            maximum_concurrent_rpcs=pool.maximum_concurrent_rpcs,
            options=[
                # Otherwise a second server on the port would share its connections.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                *_channel_arguments(flags.grpc_channel_arguments),
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(
                self._manager,
                flags.enable_serialization_as_tensor_content,
                flags.enable_batching,
                threads,
            ),
            self._grpc,
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self._manager, self._models), self._grpc
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._grpc)
        self._reflection.register(self._grpc)

    def load(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Load the models, and poll for new versions and a new config from then on.

        Blocks until each model has an available version, also while a base path is
        empty.

        Args:
            config: The models.

        Raises:
            ServingError: The config is refused, or a model cannot be loaded.
        """
        self._models.apply(config, called="servable")
        seconds = self._flags.model_config_file_poll_wait_seconds
        if self._flags.model_config_file and seconds > 0:
            self._config_poll = Periodic("Config", self._read_config_again, seconds)

    def _read_config_again(self) -> None:
        """Apply the config file, changed or not, as TensorFlow Serving does."""
        try:
            config = read_config(self._flags)
        except ServingError as error:
            log.error("Failed to read ModelServerConfig file: %s", error.message)
            return
        try:
            self._models.apply(config)
        except ServingError as error:
            log.error(
                "PollFilesystemAndReloadConfig failed to ReloadConfig: %s",
                error.message,
            )

    def open(self, credentials: grpc.ServerCredentials | None = None) -> None:
        """Listen for gRPC calls and serve them from now on.

        Args:
            credentials: For TLS; None for plain text.

        Raises:
            ServingError: The port or the socket cannot be bound.
        """
        addresses = []
        if self._flags.port:
            addresses.append(port.join(self._flags.bind, self._flags.port))
        if self._flags.grpc_socket_path:
            addresses.append(f"unix:{self._flags.grpc_socket_path}")
        for address in addresses:
            try:
                if credentials is None:
                    self._grpc.add_insecure_port(address)
                else:
                    self._grpc.add_secure_port(address, credentials)
            except RuntimeError as error:
                raise port.cannot_listen(address, str(error)) from None
        self._health.server_ready()
        self._grpc.start()

    def open_rest(self) -> bool:
        """Listen for REST requests too, if a flag sets their port.

        If the port cannot be bound, log an error and serve gRPC alone, as TensorFlow
        Serving does.

        Returns:
            Whether REST requests are served.
        """
        flags = self._flags
        if not flags.rest_api_port:
            return False
        try:
            path = monitoring.metrics_path(flags.monitoring_config_file)
            holder = port.reserve(flags.bind, flags.rest_api_port)
        except ServingError as error:
            address = f"localhost:{flags.rest_api_port}"
            log.error("Failed to start HTTP Server at %s: %s", address, error.message)
            return False
        milliseconds = flags.rest_api_timeout_in_ms
        handler = Handler(
            self._manager,
            milliseconds / 1000 if milliseconds > 0 else None,
            flags.rest_api_enable_cors_support,
            path,
        )
        threads = flags.rest_api_num_threads or 4 * usable_cpus()
        self._rest = Gateway(holder, handler, threads)
        return True

    def drain(self, seconds: float) -> bool:
        """Refuse new calls, finish the accepted ones, and unload all versions.

        Args:
            seconds: The time limit for all of this.

        Returns:
            Whether every accepted call has ended and all versions are unloaded.
        """
        end = time.monotonic() + seconds
        self._health.drain()
        self._reflection.drain()
        self._manager.end_waiting()
        if self._config_poll is not None:
            self._config_poll.stop()
        self._models.stop()
        self._drain_interceptor.refuse_new_calls()
        stopped = self._grpc.stop(grace=seconds)  # longer than the wait below
        self._drain_interceptor.send_refusals()
        rest_ended = self._rest is None or self._rest.drain(seconds)
        if not stopped.wait(max(0.0, end - time.monotonic())) or not rest_ended:
            return False
        if not self._manager.close(max(0.0, end - time.monotonic())):
            return False
        if self._scheduler is not None:
            self._scheduler.close()
        return True

    def _load_version(self, aspired: AspiredVersion) -> LoadedModel:
        with metrics.loading(str(aspired.path)):
            return self._read_version(aspired)

    def _read_version(self, aspired: AspiredVersion) -> LoadedModel:
        started = time.monotonic()
        runner = self._loaded(aspired.path)
        loaded = time.monotonic()
        try:
            replayed = 0
            if self._flags.enable_model_warmup:
                rounds = max(1, self._flags.num_request_iterations_for_warmup)
                replayed = warm_up(runner, aspired.path, aspired.version, rounds)
                taken = time.monotonic() - loaded
                metrics.warmed_up(str(aspired.path), replayed, taken)
        except BaseException:
            runner.close()
            raise
        log.info(
            "Read %s in %.2f s, %d warm-up requests",
            aspired.path,
            time.monotonic() - started,
            replayed,
        )
        return runner

    def _loaded(self, path: Path) -> LoadedModel:
        """Load a version; with batching, warm-up requests are batched as well."""
        options = None
        if self._scheduler is not None:
            options = batching_parameters.version_options(
                self._batching_parameters,
                path,
                self._flags.enable_per_model_batching_parameters,
            )
        runner = Runner(
            path,
            self._flags.saved_model_tags.split(","),
            self._session_config,
            self._flags.enable_signature_method_name_check,
        )
        if self._scheduler is None or options is None:
            return runner
        return BatchingRunner(runner, self._scheduler, options)


def _channel_arguments(text: str) -> list[tuple[str, int | str]]:
    arguments: list[tuple[str, int | str]] = []
    for pair in filter(None, text.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise invalid_argument(
                "--grpc_channel_arguments must be key=value,key=value. "
                f"Received: {text}"
            )
        try:
            arguments.append((key, int(value)))
        except ValueError:
            arguments.append((key, value))
    return arguments
