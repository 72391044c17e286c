"""The version source: the directories of a base path -> the aspired versions.

A version is a child directory whose name is a number. The policy chooses the aspired
ones from those that are complete. A directory is complete when no file that its graph
names is missing and, if it appeared or changed while the server runs, when two polls
found the same files: a version that is still being copied is never loaded.
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
        fingerprint: The names, sizes and modification times of its files.
    """

    version: int
    path: Path
    fingerprint: Fingerprint


@dataclass
class VersionSource:
    """Polls one base path for versions.

    Args:
        model: The model's name, for the log.
        base_path: The directory that holds the versions.
        publish: Called with the aspired versions after each poll that determined them.
        missing_part: Returns the file that a version directory still lacks, or None.
        policy: Which versions are aspired.
    """

    model: str
    base_path: Path
    publish: Callable[[Sequence[AspiredVersion]], None]
    missing_part: Callable[[Path], str | None]
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    _seen: dict[int, Fingerprint] = field(default_factory=dict)
    _aspired: dict[int, AspiredVersion] = field(default_factory=dict)
    _waiting: list[tuple[int, str]] = field(default_factory=list)
    _was_polled: bool = False
    _is_absent: bool = False
    _absences: int = 0

    def poll(self) -> None:
        """Read the base path, and publish the aspired versions if they are known."""
        found = numbered_children(self.model, self.base_path)
        if found is None:
            self._was_polled = True
            self._absences += not self._is_absent
            self._is_absent = True
            return
        self._is_absent = False
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
        self._was_polled = True
        if not complete and candidates:  # still being copied: keep the aspired versions
            return
        self._aspired = {version.version: version for version in complete}
        self.publish(complete)

    def _complete(
        self, candidates: Sequence[int], found: dict[int, Path]
    ) -> list[AspiredVersion]:
        """Return the first complete candidates, as many as the policy serves."""
        self._forget_all_but(found)
        complete: list[AspiredVersion] = []
        waiting = []
        for number in candidates:
            version = self._examine(number, found[number])
            if isinstance(version, str):
                waiting.append((number, version))
                continue
            complete.append(version)
            if len(complete) == self.policy.count:
                break
        for number, missing in waiting:
            if (number, missing) not in self._waiting:
                log.info(
                    "Version %d of %s is not loaded yet: waiting for %s",
                    number,
                    self.model,
                    missing,
                )
        self._waiting = waiting
        return complete

    def _forget_all_but(self, found: Collection[int]) -> None:
        self._seen = {
            number: self._seen[number] for number in self._seen if number in found
        }

    def _examine(self, number: int, path: Path) -> AspiredVersion | str:
        """Return the version in a directory, or what it is waiting for."""
        # The number of absences of the base path is part of the fingerprint, so that a
        # failed version is loaded again after one although its files are the same.
        fingerprint = (*_fingerprint(path), ("", self._absences, 0))
        settled = not self._was_polled or self._seen.get(number) == fingerprint
        self._seen[number] = fingerprint
        aspired = self._aspired.get(number)
        if not settled:
            return aspired or "its files to stop changing"
        if aspired is not None and aspired.fingerprint == fingerprint:
            return aspired
        missing = self.missing_part(path)
        if missing is None:
            return AspiredVersion(number, path, fingerprint)
        return aspired or missing  # a version that is loaded needs no file


def numbered_children(model: str, base_path: Path) -> dict[int, Path] | None:
    """Return the directories of a model's versions; log a warning if there are none.

    Returns:
        Paths by version, or None if the base path cannot be read.
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
                    "Duplicate version %d of servable %s: %s is ignored",
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
            except OSError:  # removed between the two calls
                continue
            files.append(
                (str(file.relative_to(path)), status.st_size, status.st_mtime_ns)
            )
    return tuple(sorted(files))
