"""Image classifiers in Keras: train, export, serve, and query them.

    from fovea import Client

    with Client("127.0.0.1:8500") as client:
        for prediction in client.predict(["seven.png"], model="mnist"):
            print(prediction.label, prediction.probability)

The names below are imported when first used, so that `import fovea` loads neither gRPC
nor TensorFlow. The client needs grpcio, protobuf, NumPy and Pillow alone. Models,
training and serving are `fovea.models`, `fovea.training` and `fovea.serving`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fovea.serving.client.aio import AsyncClient
    from fovea.serving.client.client import Client
    from fovea.serving.client.errors import (
        BadImage,
        ClientError,
        DeadlineExceeded,
        InvalidRequest,
        ModelNotFound,
        ServerUnavailable,
    )
    from fovea.serving.client.images import encode_image
    from fovea.serving.client.model_config import ModelConfig
    from fovea.serving.client.results import (
        Classification,
        ClassScore,
        ModelMetadata,
        Prediction,
        PredictResult,
        Signature,
        TensorSpec,
        VersionStatus,
    )

__all__ = [
    "AsyncClient",
    "BadImage",
    "ClassScore",
    "Classification",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "InvalidRequest",
    "ModelConfig",
    "ModelMetadata",
    "ModelNotFound",
    "PredictResult",
    "Prediction",
    "ServerUnavailable",
    "Signature",
    "TensorSpec",
    "VersionStatus",
    "encode_image",
]

# Module of fovea.serving.client -> what it defines.
_DEFINED_IN = {
    "aio": ("AsyncClient",),
    "results": (
        "ClassScore",
        "Classification",
        "ModelMetadata",
        "PredictResult",
        "Prediction",
        "Signature",
        "TensorSpec",
        "VersionStatus",
    ),
    "client": ("Client",),
    "errors": (
        "BadImage",
        "ClientError",
        "DeadlineExceeded",
        "InvalidRequest",
        "ModelNotFound",
        "ServerUnavailable",
    ),
    "images": ("encode_image",),
    "model_config": ("ModelConfig",),
}
_MODULE_OF = {name: module for module, names in _DEFINED_IN.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("fovea")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"fovea.serving.client.{_MODULE_OF[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
