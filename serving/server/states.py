"""The life of a version, as GetModelStatus tells it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from serving.server.errors import ServingError


class State(enum.IntEnum):
    """Where a version is; the numbers are those of ``ModelVersionStatus.State``."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """What GetModelStatus tells of one version."""

    version: int
    state: State
    error: ServingError | None
