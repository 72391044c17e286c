"""The manager: aspired versions -> loaded versions, without failing a request.

Its policy preserves availability: a new version is loaded before the old one is
unloaded, and a version is unloaded when the last request that uses it has ended. A
failed load does not affect the version that serves; it is retried a few times and,
later, whenever its files have changed.

Some threads load and some unload; one lock guards the choice of their next task.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic

import grpc

from fovea.serving.server.errors import ServingError
from fovea.serving.server.lifecycle.labels import Labels
from fovea.serving.server.lifecycle.states import (
    NO_RETRIES,
    Retries,
    S,
    State,
    Version,
    VersionStatus,
)
from fovea.serving.server.lifecycle.versions import AspiredVersion

log = logging.getLogger(__name__)

# The interval at which `still_wanted` is checked.
_CHECK_SECONDS = 0.5


class ServableHandle(Generic[S]):
    """A loaded version in use: call `release`, or use it as a context manager.

    Args:
        version: The version.
        release: Called with the version when it is no longer used.

    Attributes:
        version: The number of the version.
        servable: The loaded version.
    """

    __slots__ = ("_record", "_release", "servable", "version")

    def __init__(
        self, version: Version[S], release: Callable[[Version[S]], None]
    ) -> None:
        assert version.servable is not None
        self.version = version.number
        self.servable: S = version.servable
        self._record, self._release = version, release

    def release(self) -> None:
        """Let the manager unload the version; to be called once."""
        self._release(self._record)

    def __enter__(self) -> tuple[int, S]:
        return self.version, self.servable

    def __exit__(self, *error: object) -> None:
        self.release()


class Manager(Generic[S]):
    """Keeps the aspired versions loaded and provides them to requests.

    Args:
        load: Loads a version directory; raises a ServingError if that fails.
        on_availability: Called with a model's name and whether any version of it is
            available, whenever that has changed. It must not call the manager.
        retries: How failed loads are retried.
        load_threads: How many versions may be loaded at the same time.
        unload_threads: How many may be unloaded at the same time.

    Attributes:
        labels: The version labels of all models.
    """

    def __init__(
        self,
        load: Callable[[AspiredVersion], S],
        on_availability: Callable[[str, bool], None] = lambda model, available: None,
        retries: Retries = NO_RETRIES,
        load_threads: int = 1,
        unload_threads: int = 1,
    ) -> None:
        self.labels = Labels()
        self._load = load
        self._on_availability = on_availability
        self._retries = retries
        self._lock = threading.RLock()  # entered faster than its condition
        self._changed = threading.Condition(self._lock)
        self._aspired: dict[str, dict[int, AspiredVersion]] = {}
        self._versions: dict[str, dict[int, Version[S]]] = {}
        self._reported: dict[str, bool] = {}
        self._waiting_ended = False
        self._closing = False
        work = [self._load_until_closed] * load_threads
        work += [self._unload_until_closed] * unload_threads
        self._threads = [
            threading.Thread(target=target, name=target.__name__.strip("_"))
            for target in work
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def aspire(self, model: str, versions: Sequence[AspiredVersion]) -> None:
        """Set the versions of a model that should be served from now on."""
        with self._changed:
            aspired = {version.version: version for version in versions}
            self._aspired[model] = aspired
            known = self._versions.setdefault(model, {})
            for number in known.keys() - aspired.keys():
                known[number].unaspire()
            for number in aspired.keys() - known.keys():
                known[number] = Version(model, aspired[number])
            self._retire_replaced(model)
            self._report_availability(model)
            self._changed.notify_all()

    def servable(self, model: str, version: int | None = None) -> ServableHandle[S]:
        """Return a handle to a version, which is not unloaded before its release.

        Args:
            model: The model's name.
            version: The version, or None for the highest available one.

        Raises:
            ServingError: NOT_FOUND when it is not available.
        """
        with self._lock:
            found = self._find(model, version)
            found.users += 1
        return ServableHandle(found, self._release)

    def _release(self, version: Version[S]) -> None:
        with self._lock:
            version.users -= 1
            if version.users == 0 and version.state is State.UNLOADING:
                self._changed.notify_all()

    def _find(self, model: str, version: int | None) -> Version[S]:
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

    def available(self) -> list[tuple[str, int]]:
        """Return the available versions: models by name, the highest number first."""
        with self._changed:
            return [
                (model, number)
                for model in sorted(self._versions)
                for number in sorted(self._versions[model], reverse=True)
                if self._versions[model][number].state is State.AVAILABLE
            ]

    def statuses(self, model: str) -> list[VersionStatus]:
        """Return the status of every version that a model ever had, highest first."""
        with self._changed:
            known = self._versions.get(model, {})
            return [known[number].status for number in sorted(known, reverse=True)]

    def is_available(self, model: str, version: int) -> bool:
        """Return whether a version is available for requests."""
        with self._changed:
            known = self._versions.get(model, {}).get(version)
            return known is not None and known.state is State.AVAILABLE

    def wait_until_available(
        self,
        models: Iterable[str],
        called: str = "servable",
        still_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Block until each model has an available version, without a time limit.

        Args:
            models: The models' names.
            called: The error text's word for them.
            still_wanted: Returns whether the caller still waits for the result.

        Raises:
            ServingError: UNKNOWN if every aspired version of a model has failed to
                load; UNAVAILABLE if the server shuts down.
        """
        models = list(models)

        def over() -> bool:
            return (
                self._waiting_ended
                or all(self._is_served(m) or self._failed(m) for m in models)
                or not still_wanted()
            )

        with self._changed:
            while not self._changed.wait_for(over, _CHECK_SECONDS):
                pass
            if self._waiting_ended:
                raise ServingError(
                    grpc.StatusCode.UNAVAILABLE, "The server is shutting down"
                )
            failed = [v for model in sorted(models) if (v := self._failed(model))]
            causes = "".join(f"{{{v.name} due to error: {v.error}}}, " for v in failed)
        if failed:
            raise ServingError(
                grpc.StatusCode.UNKNOWN,
                f"{len(failed)} {called}(s) did not become available: {{{causes}}}",
            )

    def _is_served(self, model: str) -> bool:
        known = self._versions.get(model, {}).values()
        return any(version.state is State.AVAILABLE for version in known)

    def _failed(self, model: str) -> Version[S] | None:
        """Return the highest aspired version if all aspired ones have failed."""
        aspired = self._aspired.get(model)
        if not aspired or self._is_served(model):
            return None
        versions = [self._versions[model][number] for number in aspired]
        if all(v.state is State.END and v.error is not None for v in versions):
            return max(versions, key=lambda version: version.number)
        return None

    def end_waiting(self) -> None:
        """End all calls of `wait_until_available`, now and later."""
        with self._changed:
            self._waiting_ended = True
            self._changed.notify_all()

    def close(self, timeout: float) -> bool:
        """Unload all versions.

        Args:
            timeout: Seconds to wait for running requests and loads.

        Returns:
            Whether all versions were unloaded in time.
        """
        end = time.monotonic() + timeout
        for model in list(self._aspired):
            self.aspire(model, [])
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _report_availability(self, model: str) -> None:
        served = self._is_served(model)
        if self._reported.get(model) is not served:
            self._reported[model] = served
            self._on_availability(model, served)

    def _retire_replaced(self, model: str) -> None:
        """Unload what is not needed, by the availability-preserving policy."""
        known, aspired = self._versions[model], self._aspired[model]
        while True:
            ready = [n for n in sorted(known) if known[n].state is State.AVAILABLE]
            unwanted = [n for n in ready if n not in aspired]
            replaced = len(unwanted) < len(ready)
            if not unwanted or (aspired and not replaced and len(unwanted) == 1):
                return
            known[unwanted[0]].state = State.UNLOADING

    def _load_until_closed(self) -> None:
        while (version := self._next_to_load()) is not None:
            self._load_version(version)

    def _next_to_load(self) -> Version[S] | None:
        with self._changed:
            while not self._closing:
                for model, aspired in self._aspired.items():
                    for number in sorted(aspired, reverse=True):
                        version = self._versions[model][number]
                        if version.is_due(aspired[number].fingerprint):
                            version.aspired = aspired[number]
                            version.state, version.retry_at = State.LOADING, None
                            return version
                self._changed.wait(self._seconds_to_retry())
            return None

    def _seconds_to_retry(self) -> float | None:
        moments = [
            version.retry_at
            for known in self._versions.values()
            for version in known.values()
            if version.retry_at is not None
        ]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _load_version(self, version: Version[S]) -> None:
        log.info("Loading servable version %s", version.name)
        try:
            servable = self._load(version.aspired)
        except Exception as error:
            if not isinstance(error, ServingError):
                log.exception("Loading %s failed unexpectedly", version.name)
                error = ServingError(grpc.StatusCode.INTERNAL, f"{error}")
            self._load_failed(version, error)
            return
        with self._changed:
            version.loaded(servable)
            self._retire_replaced(version.model)
            self._report_availability(version.model)
            self._changed.notify_all()
        log.info("Successfully loaded servable version %s", version.name)

    def _load_failed(self, version: Version[S], error: ServingError) -> None:
        log.error("Loading servable: %s failed: %s", version.name, error)
        with self._changed:
            version.failed(error, self._retries)
            if version.number not in self._aspired[version.model]:
                version.unaspire()
            ended = version.state is State.END
            self._changed.notify_all()
        if ended:
            log.error("Servable %s cannot be loaded: %s", version.name, error)

    def _unload_until_closed(self) -> None:
        while (version := self._next_to_unload()) is not None:
            self._unload(version)

    def _next_to_unload(self) -> Version[S] | None:
        with self._changed:
            while True:
                held = False
                for known in self._versions.values():
                    for version in known.values():
                        held |= version.state not in (State.START, State.END)
                        unused = version.users == 0 and not version.closing
                        if version.state is State.UNLOADING and unused:
                            version.closing = True
                            return version
                if self._closing and not held:
                    return None
                self._changed.wait()

    def _unload(self, version: Version[S]) -> None:
        assert version.servable is not None
        try:
            version.servable.close()
        except Exception:
            log.exception("Unloading %s failed", version.name)
        with self._changed:
            version.servable, version.state = None, State.END
            version.closing = False
            self._changed.notify_all()
        log.info("Unloaded servable version %s", version.name)
