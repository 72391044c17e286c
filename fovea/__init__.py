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
    from fovea.serving.client import (
        AsyncClient,
        BadImage,
        Classification,
        ClassScore,
        Client,
        ClientError,
        DeadlineExceeded,
        InvalidRequest,
        ModelConfig,
        ModelMetadata,
        ModelNotFound,
        Prediction,
        PredictResult,
        ServerUnavailable,
        Signature,
        TensorSpec,
        VersionStatus,
        encode_image,
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


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("fovea")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("fovea.serving.client"), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
