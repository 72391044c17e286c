"""The version policy: which of the versions on disk are to be served."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tensorflow_serving.config import model_server_config_pb2


@dataclass(frozen=True)
class VersionPolicy:
    """The newest few versions, all of them, or certain ones.

    Attributes:
        count: How many at most, the highest numbers first; None for any number.
        only: The versions that may be served; None for every one.
    """

    count: int | None = 1
    only: frozenset[int] | None = None

    def candidates(self, versions: Collection[int]) -> list[int]:
        """The versions that may be served, in the order of preference."""
        wanted = versions if self.only is None else self.only.intersection(versions)
        return sorted(wanted, reverse=True)

    def absent(self, versions: Collection[int]) -> list[int]:
        """The versions that are named but not there."""
        return sorted((self.only or frozenset()).difference(versions))


def version_policy(model: model_server_config_pb2.ModelConfig) -> VersionPolicy:
    """The policy of a model; an unset one is ``latest`` with one version."""
    proto = model.model_version_policy
    choice = proto.WhichOneof("policy_choice")
    if choice == "all":
        return VersionPolicy(count=None)
    if choice == "specific":
        return VersionPolicy(count=None, only=frozenset(proto.specific.versions))
    return VersionPolicy(count=max(1, proto.latest.num_versions))
