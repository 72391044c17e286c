"""The life of one version: its states, as GetModelStatus tells them, and its record."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from fovea.serving.server.errors import ServingError
from fovea.serving.server.lifecycle.versions import AspiredVersion, Fingerprint


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


class Servable(Protocol):
    """A loaded version, as far as the manager knows it."""

    def close(self) -> None:
        """Release what loading took."""


S = TypeVar("S", bound=Servable)


@dataclass(frozen=True)
class Retries:
    """How often a load that failed is tried again, and after how long."""

    count: int = 0
    seconds: float = 60.0


NO_RETRIES = Retries()


@dataclass
class Version(Generic[S]):
    """What the manager knows of a version; it changes only under the manager's lock.

    Attributes:
        error: Of the last attempt to load it.
        users: How many requests hold it.
        closing: A thread is unloading it.
        tried: The files of the attempts that failed.
        failures: How many attempts failed with these files.
        retry_at: LOADING, but waiting for this moment.
    """

    model: str
    aspired: AspiredVersion
    state: State = State.START
    error: ServingError | None = None
    servable: S | None = None
    users: int = 0
    closing: bool = False
    tried: Fingerprint | None = None
    failures: int = 0
    retry_at: float | None = None

    @property
    def number(self) -> int:
        """The version's number."""
        return self.aspired.version

    @property
    def name(self) -> str:
        """Model and version, as texts of TF Serving show them."""
        return f"{{name: {self.model} version: {self.number}}}"

    @property
    def status(self) -> VersionStatus:
        """What clients are told; an error only when it is final."""
        final = self.error if self.state is State.END else None
        return VersionStatus(self.number, self.state, final)

    def is_due(self, files: Fingerprint) -> bool:
        """Whether to load it now, given that it is aspired with these files."""
        if self.state is State.LOADING:
            return self.retry_at is not None and (
                self.tried != files or self.retry_at <= time.monotonic()
            )
        return self.state in (State.START, State.END) and self.tried != files

    def loaded(self, servable: S) -> None:
        """It can be used from now on."""
        self.servable, self.state = servable, State.AVAILABLE
        self.error, self.tried, self.failures = None, None, 0

    def failed(self, error: ServingError, retries: Retries) -> None:
        """It could not be loaded; wait for the next try, or end when there is none."""
        files = self.aspired.fingerprint
        self.failures = self.failures + 1 if self.tried == files else 1
        self.error, self.tried = error, files
        if self.failures > retries.count:
            self.state = State.END
        else:
            self.retry_at = time.monotonic() + retries.seconds

    def unaspire(self) -> None:
        """Load it no more; when it comes back it is tried again."""
        self.tried, self.failures = None, 0
        if self.state is State.START or self.retry_at is not None:
            self.state, self.retry_at = State.END, None
