"""The version policy: which of the versions on disk to serve."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tensorflow_serving.config import model_server_config_pb2


@dataclass(frozen=True)
class VersionPolicy:
    """The newest versions, all versions, or specific versions.

    Attributes:
        count: How many versions to serve, the highest first; None for all.
        only: The versions that may be served; None for every version.
    """

    count: int | None = 1
    only: frozenset[int] | None = None

    def candidates(self, versions: Collection[int]) -> list[int]:
        """Return the versions that may be served, the preferred ones first."""
        wanted = versions if self.only is None else self.only.intersection(versions)
        return sorted(wanted, reverse=True)

    def absent(self, versions: Collection[int]) -> list[int]:
        """Return the versions that the policy names and the disk lacks."""
        return sorted((self.only or frozenset()).difference(versions))


def version_policy(model: model_server_config_pb2.ModelConfig) -> VersionPolicy:
    """Return the policy of a model; the default is `latest` with one version."""
    proto = model.model_version_policy
    choice = proto.WhichOneof("policy_choice")
    if choice == "all":
        return VersionPolicy(count=None)
    if choice == "specific":
        return VersionPolicy(count=None, only=frozenset(proto.specific.versions))
    return VersionPolicy(count=max(1, proto.latest.num_versions))
