"""The configured models: a config -> version sources, labels, the manager.

The start, the config file and HandleReloadConfigRequest all use `apply`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from tensorflow_serving.config import model_server_config_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.model_config import local_path, validate
from fovea.serving.server.lifecycle.periodic import Periodic
from fovea.serving.server.lifecycle.policy import version_policy
from fovea.serving.server.lifecycle.versions import VersionSource

log = logging.getLogger(__name__)


class ConfiguredModels:
    """Keeps the configured models, and no others, in a manager.

    Args:
        manager: Receives the aspired versions of each model.
        missing_part: Returns the file that a version directory still lacks, or None.
        poll_seconds: The pause between two polls for versions; 0: poll once per config;
            negative: never.
        allow_unavailable: Whether a label may be assigned to a version that is not
            available yet.
    """

    def __init__(
        self,
        manager: Manager[Any],
        missing_part: Callable[[Path], str | None],
        poll_seconds: float = 1,
        allow_unavailable: bool = False,
    ) -> None:
        self._manager = manager
        self._poll_seconds = poll_seconds
        self._allow_unavailable = allow_unavailable
        self._missing_part = missing_part
        self._config = model_server_config_pb2.ModelConfigList()
        self._sources: dict[str, VersionSource] = {}
        self._applying = threading.Lock()
        self._polling = threading.Lock()
        self._poll: Periodic | None = None

    def apply(
        self,
        config: model_server_config_pb2.ModelServerConfig,
        called: str = "model",
        still_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Serve the models of a config instead of all others.

        The steps and their order are those of TensorFlow Serving: labels are checked
        before any version of the new config is loaded, and only models that were not
        listed before are waited for, without a time limit. Configs are applied one
        after the other.

        Args:
            config: The config, with a `model_config_list`.
            called: The error text's word for a model that cannot be loaded.
            still_wanted: Returns whether the caller still waits for the result.

        Raises:
            ServingError: The config is refused, or a new model cannot be loaded.
        """
        if config.WhichOneof("config") is None:
            log.info("Taking no action for empty config.")
            return
        if not config.HasField("model_config_list"):
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED,
                "ModelServer does not yet support custom model config.",
            )
        models = config.model_config_list
        with self._applying:
            if not still_wanted():
                return
            validate(models, self._config)
            log.info("Adding/updating models.")
            self._config = model_server_config_pb2.ModelConfigList()
            self._config.CopyFrom(models)
            self._manager.labels.assign(
                models.config, self._manager.is_available, self._allow_unavailable
            )
            added = self._replace_sources(models.config)
            self._manager.wait_until_available(added, called, still_wanted)
            if any(model.HasField("logging_config") for model in models.config):
                raise invalid_argument("No request-logger-creator provided.")

    def _replace_sources(
        self, models: Sequence[model_server_config_pb2.ModelConfig]
    ) -> list[str]:
        """Poll the configured base paths from now on; return the new models."""
        with self._polling:
            before = self._sources
            self._sources = {}
            for model in models:
                log.info(" (Re-)adding model: %s", model.name)
                self._sources[model.name] = self._source(model, before.get(model.name))
            for name in before.keys() - self._sources.keys():
                self._manager.aspire(name, [])
            if self._poll is None and self._poll_seconds > 0:
                self._poll = Periodic("Polling", self._poll_all, self._poll_seconds)
            return [name for name in self._sources if name not in before]

    def _source(
        self, model: model_server_config_pb2.ModelConfig, before: VersionSource | None
    ) -> VersionSource:
        """Return the source of a model, already polled if anything is new."""
        path, policy = local_path(model), version_policy(model)
        if before is not None and (before.base_path, before.policy) == (path, policy):
            return before
        name = model.name
        source = VersionSource(
            name,
            path,
            lambda versions: self._manager.aspire(name, versions),
            self._missing_part,
            policy,
        )
        # A source that is polled again remembers which directories are changing.
        if before is not None and before.base_path == path and self._poll_seconds > 0:
            source = before
            source.policy = policy
        if self._poll_seconds >= 0:
            source.poll()
        return source

    def _poll_all(self) -> None:
        with self._polling:
            for source in self._sources.values():
                try:
                    source.poll()
                except Exception:  # must not affect the other models
                    log.exception("Polling for versions of %s failed", source.model)

    def stop(self) -> None:
        """Stop polling for versions."""
        if self._poll is not None:
            self._poll.stop()
