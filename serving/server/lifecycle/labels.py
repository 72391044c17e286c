"""Version labels: names such as ``stable`` that requests use in place of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import grpc
from tensorflow_serving.config import model_server_config_pb2

from fovea.serving.server.errors import ServingError, invalid_argument


class Labels:
    """Which version each label of each model means; none before the first ``assign``.

    The maps are replaced as a whole, so that readers need no lock.
    """

    def __init__(self) -> None:
        self._versions: dict[str, dict[str, int]] | None = None

    def version(self, model: str, label: str) -> int:
        """The version that a label means.

        Raises:
            ServingError: INVALID_ARGUMENT for a label that is not assigned.
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
        """Take the labels of a config in place of all that were there.

        Args:
            models: The config.
            is_available: Whether a version of a model can be used now.
            allow_unavailable: Let a label mean a version that is not available,
                unless it means another one already.

        Raises:
            ServingError: FAILED_PRECONDITION; all labels stay as they were.
        """
        before = self._versions or {}
        after: dict[str, dict[str, int]] = {}
        for model in models:
            for label, version in sorted(model.version_labels.items()):
                meant = before.get(model.name, {}).get(label, version)
                allowed = allow_unavailable and meant == version
                if not allowed and not is_available(model.name, version):
                    raise ServingError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model "
                        f"{model.name}, which is not currently available for "
                        "inference",
                    )
                after.setdefault(model.name, {})[label] = version
        self._versions = after
