"""Ask a model server: the slim client of TensorFlow Serving's gRPC protocol.

    from fovea.serving.client import Client

    with Client("127.0.0.1:8500") as client:
        for answer in client.predict(["seven.png"], model="mnist"):
            print(answer.label, answer.probability)

It needs grpcio, protobuf, NumPy and Pillow, and nothing of TensorFlow. Importing this
package loads none of them yet: each name below is imported when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fovea.serving.client.aio import AsyncClient
    from fovea.serving.client.answers import (
        Classification,
        ClassScore,
        ModelMetadata,
        Prediction,
        PredictResult,
        Signature,
        TensorSpec,
        VersionStatus,
    )
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

_HOME = {
    "AsyncClient": "aio",
    "Client": "client",
    "ModelConfig": "model_config",
    "encode_image": "images",
}
_HOME.update(
    dict.fromkeys(
        (
            "BadImage",
            "ClientError",
            "DeadlineExceeded",
            "InvalidRequest",
            "ModelNotFound",
            "ServerUnavailable",
        ),
        "errors",
    )
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME.get(name, "answers")
    return getattr(import_module(f"{__name__}.{home}"), name)
