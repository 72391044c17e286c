"""The manager: aspired versions -> loaded ones, without a gap and without a drop.

One thread loads and unloads. Its policy preserves availability: a new version is
loaded before the old one is let go, and a version is unloaded when the last request
that uses it has been answered. A version that fails to load changes nothing for the
one that serves; it is tried again when its files change.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import grpc

from serving.server.errors import ServingError
from serving.server.versions import AspiredVersion, Fingerprint

log = logging.getLogger(__name__)


class Servable(Protocol):
    """A loaded version, as far as the manager knows it."""

    def close(self) -> None:
        """Release what loading took."""


S = TypeVar("S", bound=Servable)


class State(enum.IntEnum):
    """The life of a version; the numbers are those of ``ModelVersionStatus.State``."""

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


@dataclass
class _Version(Generic[S]):
    model: str
    aspired: AspiredVersion
    state: State = State.START
    error: ServingError | None = None
    servable: S | None = None
    users: int = 0
    tried: Fingerprint | None = None  # the files of the attempt that failed

    @property
    def name(self) -> str:
        return f"{{name: {self.model} version: {self.aspired.version}}}"


# What to do next, and to which version.
_Step = tuple[Callable[[_Version[S]], None], _Version[S]]


class Manager(Generic[S]):
    """Keeps the aspired versions loaded and lends them to requests.

    Args:
        load: Makes a servable of a version directory; a ServingError is a failed load.
        on_availability: Is told a model's name and whether any version of it can be
            used, whenever that may have changed. It must not call the manager.
    """

    def __init__(
        self,
        load: Callable[[AspiredVersion], S],
        on_availability: Callable[[str, bool], None] = lambda model, available: None,
    ) -> None:
        self._load = load
        self._on_availability = on_availability
        self._changed = threading.Condition()
        self._aspired: dict[str, dict[int, AspiredVersion]] = {}
        self._versions: dict[str, dict[int, _Version[S]]] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="manager", daemon=True)
        self._thread.start()

    def aspire(self, model: str, versions: Sequence[AspiredVersion]) -> None:
        """Say which versions of a model should be served from now on."""
        with self._changed:
            aspired = {version.version: version for version in versions}
            self._aspired[model] = aspired
            known = self._versions.setdefault(model, {})
            for number in known.keys() - aspired.keys():
                known[number].tried = None  # a failed one may come back and try again
            for number in aspired.keys() - known.keys():
                known[number] = _Version(model, aspired[number])
            self._changed.notify_all()

    @contextlib.contextmanager
    def servable(
        self, model: str, version: int | None = None
    ) -> Iterator[tuple[int, S]]:
        """Borrow a version: it is not unloaded before it is given back.

        Args:
            model: The model's name.
            version: The version, or None for the highest available one.

        Yields:
            The version's number and its servable.

        Raises:
            ServingError: NOT_FOUND when it is not available.
        """
        with self._changed:
            lent = self._available(model, version)
            lent.users += 1
        assert lent.servable is not None
        try:
            yield lent.aspired.version, lent.servable
        finally:
            with self._changed:
                lent.users -= 1
                if lent.users == 0 and lent.state is State.UNLOADING:
                    self._changed.notify_all()

    def _available(self, model: str, version: int | None) -> _Version[S]:
        known = self._versions.get(model, {})
        ready = [v for v in known if known[v].state is State.AVAILABLE]
        if version is None:
            wanted, missing = max(ready, default=None), f"Latest({model})"
        else:
            wanted = version if version in ready else None
            missing = f"Specific({model}, {version})"
        if wanted is None:
            raise ServingError(
                grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {missing}"
            )
        return known[wanted]

    def statuses(self, model: str) -> list[VersionStatus]:
        """Every version of a model ever seen, the ended ones too, highest first."""
        with self._changed:
            known = self._versions.get(model, {})
            return [
                VersionStatus(number, known[number].state, known[number].error)
                for number in sorted(known, reverse=True)
            ]

    def wait_until_available(self, model: str) -> None:
        """Block until a version of the model serves, however long that takes.

        Raises:
            ServingError: Every aspired version has failed to load.
        """

        def settled() -> bool:
            states = [known.state for known in self._versions.get(model, {}).values()]
            return State.AVAILABLE in states or bool(self._failed(model))

        with self._changed:
            self._changed.wait_for(settled)
            failed = self._failed(model)
        if failed:
            causes = "".join(f"{{{v.name} due to error: {v.error}}}, " for v in failed)
            raise ServingError(
                grpc.StatusCode.UNKNOWN,
                f"{len(failed)} servable(s) did not become available: {{{causes}}}",
            )

    def _failed(self, model: str) -> list[_Version[S]]:
        """The aspired versions, if they have all failed."""
        known = self._versions.get(model, {})
        aspired = [known[number] for number in self._aspired.get(model, {})]
        return aspired if all(v.error for v in aspired) else []

    def close(self, timeout: float) -> bool:
        """Unload everything.

        Args:
            timeout: Seconds to wait for requests and loads that are under way.

        Returns:
            Whether all was unloaded in time.
        """
        with self._changed:
            self._closing = True
            for model in self._aspired:
                self._aspired[model] = {}
            self._changed.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (step := self._next_step()) is not None:
            act, version = step
            act(version)

    def _tell_availability(self, model: str) -> None:
        known = self._versions[model].values()
        available = any(version.state is State.AVAILABLE for version in known)
        self._on_availability(model, available)

    def _next_step(self) -> _Step[S] | None:
        with self._changed:
            while True:
                for model in self._versions:
                    step = self._step_for(model)
                    if step is not None:
                        return step
                if self._closing and not self._busy():
                    return None
                self._changed.wait()

    def _busy(self) -> bool:
        held = (State.AVAILABLE, State.UNLOADING)
        return any(
            version.state in held
            for known in self._versions.values()
            for version in known.values()
        )

    def _step_for(self, model: str) -> _Step[S] | None:
        """The availability-preserving policy: what to do next for one model."""
        known, aspired = self._versions[model], self._aspired[model]
        for version in known.values():
            if version.state is State.UNLOADING and version.users == 0:
                return self._unload, version
        ready = [n for n in sorted(known) if known[n].state is State.AVAILABLE]
        unwanted = [n for n in ready if n not in aspired]
        replaced = len(unwanted) < len(ready)
        if unwanted and (not aspired or replaced or len(unwanted) > 1):
            return self._retire, known[unwanted[0]]
        for number in sorted(aspired, reverse=True):
            version = known[number]
            idle = version.state in (State.START, State.END)
            if idle and version.tried != aspired[number].fingerprint:
                return self._bring_up, version
        return None

    def _bring_up(self, version: _Version[S]) -> None:
        with self._changed:
            aspired = self._aspired[version.model].get(version.aspired.version)
            if aspired is None:  # given up meanwhile
                return
            version.aspired = aspired
            version.state, version.error = State.LOADING, None
        log.info("Loading servable version %s", version.name)
        try:
            servable = self._load(version.aspired)
        except Exception as error:
            if not isinstance(error, ServingError):
                log.exception("Loading %s failed unexpectedly", version.name)
                error = ServingError(grpc.StatusCode.INTERNAL, f"{error}")
            log.error("Servable %s cannot be loaded: %s", version.name, error)
            with self._changed:
                version.state, version.error = State.END, error
                version.tried = version.aspired.fingerprint
                self._changed.notify_all()
            return
        with self._changed:
            version.servable, version.state = servable, State.AVAILABLE
            version.tried = None
            self._tell_availability(version.model)
            self._changed.notify_all()
        log.info("Successfully loaded servable version %s", version.name)

    def _retire(self, version: _Version[S]) -> None:
        with self._changed:
            version.state = State.UNLOADING
            self._tell_availability(version.model)

    def _unload(self, version: _Version[S]) -> None:
        assert version.servable is not None
        try:
            version.servable.close()
        except Exception:
            log.exception("Unloading %s failed", version.name)
        with self._changed:
            version.servable, version.state = None, State.END
            self._changed.notify_all()
        log.info("Unloaded servable version %s", version.name)
