"""Version labels: names such as `stable` that requests use instead of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import grpc
from tensorflow_serving.config import model_server_config_pb2

from fovea.serving.server.errors import ServingError, invalid_argument


class Labels:
    """The version of each label of each model; empty before the first `assign`.

    The map is replaced as a whole, so that readers need no lock.
    """

    def __init__(self) -> None:
        self._versions: dict[str, dict[str, int]] | None = None

    def version(self, model: str, label: str) -> int:
        """Return the version that a label is assigned to.

        Raises:
            ServingError: INVALID_ARGUMENT for a label that is not assigned, UNAVAILABLE
                before the first `assign`.
        """
        versions = self._versions
        if versions is None:
            raise ServingError(
                grpc.StatusCode.UNAVAILABLE, f"Model labels does not init yet.{label}"
            )
        try:
            return versions[model][label]
        except KeyError:
            raise invalid_argument(
                f"Unrecognized servable version label: {label}"
            ) from None

    def assign(
        self,
        models: Iterable[model_server_config_pb2.ModelConfig],
        is_available: Callable[[str, int], bool],
        allow_unavailable: bool,
    ) -> None:
        """Replace all labels by those of a config.

        Args:
            models: The config.
            is_available: Returns whether a version of a model is available.
            allow_unavailable: Whether a label may be assigned to a version that is not
                available, unless it is assigned to another one already.

        Raises:
            ServingError: FAILED_PRECONDITION; no label is changed then.
        """
        before = self._versions or {}
        after: dict[str, dict[str, int]] = {}
        for model in models:
            for label, version in sorted(model.version_labels.items()):
                current = before.get(model.name, {}).get(label, version)
                allowed = allow_unavailable and current == version
                if not allowed and not is_available(model.name, version):
                    raise ServingError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model "
                        f"{model.name}, which is not currently available for "
                        "inference",
                    )
                after.setdefault(model.name, {})[label] = version
        self._versions = after
