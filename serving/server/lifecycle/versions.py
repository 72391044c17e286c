"""The version source: what lies under a base path -> the versions that are aspired.

A version is a child directory whose name is a number. Which of them are aspired is the
policy's choice among those that are complete. A directory is complete when nothing that
its graph names is missing and, for one that appeared or changed while the server runs,
when two looks found the same files: a version that is still being copied is never
loaded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fovea.serving.server.lifecycle.policy import VersionPolicy

log = logging.getLogger(__name__)

Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class AspiredVersion:
    """A version that should be served.

    Attributes:
        version: The number.
        path: Its directory.
        fingerprint: Names, sizes and times of its files: it differs when any changed.
    """

    version: int
    path: Path
    fingerprint: Fingerprint


@dataclass
class VersionSource:
    """Looks under one base path for versions.

    Args:
        model: The model's name, for the log.
        base_path: The directory that holds the versions.
        publish: Is told the aspired versions after each look that found out.
        missing_part: Tells what a version directory still lacks, None for nothing.
        policy: Which versions to aspire to.
    """

    model: str
    base_path: Path
    publish: Callable[[Sequence[AspiredVersion]], None]
    missing_part: Callable[[Path], str | None]
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    _seen: dict[int, Fingerprint] = field(default_factory=dict)
    _aspired: dict[int, AspiredVersion] = field(default_factory=dict)
    _waiting_for: list[tuple[int, str]] = field(default_factory=list)
    _looked: bool = False
    _away: bool = False
    _absences: int = 0

    def poll(self) -> None:
        """Look once, and publish when it is known what to aspire to."""
        found = numbered_children(self.model, self.base_path)
        if found is None:
            self._looked = True
            self._absences += not self._away
            self._away = True
            return
        self._away = False
        candidates = self.policy.candidates(found)
        for number in self.policy.absent(found):
            log.warning(
                "Version %d of servable %s, which was requested to be served as a "
                "'specific' version in the servable's version policy, was not found in "
                "the file system",
                number,
                self.model,
            )
        complete = self._complete(candidates, found)
        self._looked = True
        if not complete and candidates:  # still being copied: keep what there is
            return
        self._aspired = {version.version: version for version in complete}
        self.publish(complete)

    def _complete(
        self, candidates: Sequence[int], found: dict[int, Path]
    ) -> list[AspiredVersion]:
        """The first candidates that are complete, as many as the policy wants."""
        self._forget_all_but(found)
        complete: list[AspiredVersion] = []
        waiting = []
        for number in candidates:
            looked_at = self._look_at(number, found[number])
            if isinstance(looked_at, str):
                waiting.append((number, looked_at))
                continue
            complete.append(looked_at)
            if len(complete) == self.policy.count:
                break
        for number, missing in waiting:
            if (number, missing) not in self._waiting_for:
                log.info(
                    "Version %d of %s is not loaded yet: waiting for %s",
                    number,
                    self.model,
                    missing,
                )
        self._waiting_for = waiting
        return complete

    def _forget_all_but(self, found: Collection[int]) -> None:
        self._seen = {
            number: self._seen[number] for number in self._seen if number in found
        }

    def _look_at(self, number: int, path: Path) -> AspiredVersion | str:
        """The version in a directory, or what it is waiting for."""
        # With an absence of the base path, so that what failed to load meanwhile is
        # tried again although its files are the same.
        fingerprint = (*_fingerprint(path), ("", self._absences, 0))
        settled = not self._looked or self._seen.get(number) == fingerprint
        self._seen[number] = fingerprint
        aspired = self._aspired.get(number)
        if not settled:
            return aspired or "its files to stop changing"
        if aspired is not None and aspired.fingerprint == fingerprint:
            return aspired
        missing = self.missing_part(path)
        if missing is None:
            return AspiredVersion(number, path, fingerprint)
        return aspired or missing  # once complete: what is loaded needs no file


def numbered_children(model: str, base_path: Path) -> dict[int, Path] | None:
    """The directories of a model's versions; a warning when there are none.

    Returns:
        Paths by version, or None when the base path cannot be read.
    """
    try:
        children = sorted(base_path.iterdir())
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            cause = f"NOT_FOUND: {base_path} not found"
        else:
            cause = f"PERMISSION_DENIED: {base_path}; {error.strerror}"
        log.warning(
            "FileSystemStoragePathSource encountered a filesystem access error: "
            "Could not find base path %s for servable %s with error %s",
            base_path,
            model,
            cause,
        )
        return None
    found: dict[int, Path] = {}
    for child in children:
        if child.name.isascii() and child.name.isdecimal():
            number = int(child.name)
            if number >= 2**63:
                continue
            if number in found:
                log.warning(
                    "Duplicate version %d of servable %s: %s is left alone",
                    number,
                    model,
                    child,
                )
            found.setdefault(number, child)
    if not found:
        log.warning(
            "No versions of servable %s found under base path %s. Did you forget to "
            "name your leaf directory as a number (eg. '/1/')?",
            model,
            base_path,
        )
    return found


def _fingerprint(path: Path) -> Fingerprint:
    files = []
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            try:
                status = file.stat()
            except OSError:  # went away between the two calls
                continue
            files.append(
                (str(file.relative_to(path)), status.st_size, status.st_mtime_ns)
            )
    return tuple(sorted(files))
