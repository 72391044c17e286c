"""The life cycle of a version: its states, as in GetModelStatus, and its record."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from fovea.serving.server.errors import ServingError
from fovea.serving.server.lifecycle.versions import AspiredVersion, Fingerprint


class State(enum.IntEnum):
    """The state of a version, with the numbers of `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """The status of a version, as GetModelStatus reports it."""

    version: int
    state: State
    error: ServingError | None


class Servable(Protocol):
    """A loaded version, as the manager sees it."""

    def close(self) -> None:
        """Release the resources of the version."""


S = TypeVar("S", bound=Servable)


@dataclass(frozen=True)
class Retries:
    """How often a failed load is retried, and the seconds before each retry."""

    count: int = 0
    seconds: float = 60.0


NO_RETRIES = Retries()


@dataclass
class Version(Generic[S]):
    """The manager's record of a version; it changes only under the manager's lock.

    Attributes:
        error: The error of the last attempt to load it.
        users: The number of requests that use it.
        closing: Whether a thread is unloading it.
        tried: The fingerprint of the files whose load failed.
        failures: The number of failed loads of these files.
        retry_at: The time of the next load, on the monotonic clock, while a failed one
            waits to be retried; the state is LOADING then.
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
        """The model and the version as TensorFlow Serving's texts show them."""
        return f"{{name: {self.model} version: {self.number}}}"

    @property
    def status(self) -> VersionStatus:
        """The status for clients, with an error only if it is final."""
        final = self.error if self.state is State.END else None
        return VersionStatus(self.number, self.state, final)

    def is_due(self, files: Fingerprint) -> bool:
        """Return whether to load the version now, if it is aspired with these files."""
        if self.state is State.LOADING:
            return self.retry_at is not None and (
                self.tried != files or self.retry_at <= time.monotonic()
            )
        return self.state in (State.START, State.END) and self.tried != files

    def loaded(self, servable: S) -> None:
        """Record that the version is available."""
        self.servable, self.state = servable, State.AVAILABLE
        self.error, self.tried, self.failures = None, None, 0

    def failed(self, error: ServingError, retries: Retries) -> None:
        """Record a failed load; wait for the next retry, or end if there is none."""
        files = self.aspired.fingerprint
        self.failures = self.failures + 1 if self.tried == files else 1
        self.error, self.tried = error, files
        if self.failures > retries.count:
            self.state = State.END
        else:
            self.retry_at = time.monotonic() + retries.seconds

    def unaspire(self) -> None:
        """Do not load the version unless it becomes aspired again."""
        self.tried, self.failures = None, 0
        if self.state is State.START or self.retry_at is not None:
            self.state, self.retry_at = State.END, None
