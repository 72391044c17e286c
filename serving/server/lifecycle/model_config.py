"""ModelServerConfig: the models to serve, from flags, a file or a request."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import grpc
from tensorflow_serving.config import model_server_config_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.flag_table import Flags
from fovea.serving.server.text_proto import read_text_proto

PLATFORM = "tensorflow"


def read_config(flags: Flags) -> model_server_config_pb2.ModelServerConfig:
    """Return the config of the command line; a file wins over a single model.

    Raises:
        ServingError: The file cannot be read.
    """
    config = model_server_config_pb2.ModelServerConfig()
    if flags.model_config_file:
        read_text_proto(flags.model_config_file, config)
    else:
        config.model_config_list.config.add(
            name=flags.model_name,
            base_path=flags.model_base_path,
            model_platform=PLATFORM,
        )
    return config


def validate(
    new: model_server_config_pb2.ModelConfigList,
    old: model_server_config_pb2.ModelConfigList | None = None,
) -> None:
    """Check that a list of models can be served.

    Args:
        new: The list.
        old: The list that it replaces, if any.

    Raises:
        ServingError: It names the first rule that is broken.
    """
    seen = set()
    for model in new.config:
        if model.name in seen:
            raise invalid_argument(
                f"Illegal to list model {model.name} multiple times in config list"
            )
        seen.add(model.name)
    for model in new.config:
        local_path(model)
    served = old.config if old is not None else ()
    platforms = {model.name: _platform(model) for model in served}
    for model in new.config:
        platform = _platform(model)
        before = platforms.get(model.name, platform)
        if platform != before:
            raise invalid_argument(
                "Illegal to change a model's platform. For model "
                f"{model.name} platform was {before} and new platform requested is "
                f"{platform}"
            )
        if platform != PLATFORM:
            raise invalid_argument(
                f"Model {model.name} requests unsupported platform {platform}"
            )


def local_path(model: model_server_config_pb2.ModelConfig) -> Path:
    """Return the directory that holds a model's versions.

    Raises:
        ServingError: The path is relative, or of a file system that is not mounted.
    """
    base_path = model.base_path
    if base_path.startswith("/"):
        return Path(base_path)
    scheme, _, path, _, _ = urlsplit(base_path)
    if not scheme or "://" not in base_path:
        raise invalid_argument(
            f"Expected model {model.name} to have an absolute path or URI; "
            f"got base_path()={base_path}"
        )
    if scheme != "file":
        raise ServingError(
            grpc.StatusCode.UNIMPLEMENTED,
            f"File system scheme '{scheme}' not implemented (file: '{base_path}')",
        )
    return Path(path)


def _platform(model: model_server_config_pb2.ModelConfig) -> str:
    if model.model_type != model_server_config_pb2.MODEL_TYPE_UNSPECIFIED:
        if model.model_platform:
            raise invalid_argument(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                "ModelServerConfig::model_platform."
            )
        if model.model_type == model_server_config_pb2.TENSORFLOW:
            return PLATFORM
        raise invalid_argument(
            f"ModelServerConfig::model_type choice {model.model_type} not supported."
        )
    if not model.model_platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    return model.model_platform
