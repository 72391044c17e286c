"""Version source and manager under any order of events, on real directories.

Versions are cheap stand-ins for SavedModels: a file `graph` that states whether it can
be loaded, and a file `weights` without which the version is incomplete.
"""

import contextlib
import shutil
import tempfile
import threading
import time
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.policy import VersionPolicy
from fovea.serving.server.lifecycle.states import Retries, State
from fovea.serving.server.lifecycle.versions import VersionSource

NUMBERS = st.integers(1, 4)
POLICIES = st.sampled_from(
    [
        VersionPolicy(),
        VersionPolicy(count=2),
        VersionPolicy(count=None),
        VersionPolicy(count=None, only=frozenset({1, 3})),
    ]
)
PATIENCE_SECONDS = 10


class Loaded:
    """A loaded version; it reports when it is closed too early or twice."""

    def __init__(self, version, wrong):
        self.version, self.wrong = version, wrong
        self.lock, self.users, self.closed = threading.Lock(), 0, False

    def close(self):
        with self.lock:
            if self.users:
                self.wrong.append(f"version {self.version} closed in use")
            if self.closed:
                self.wrong.append(f"version {self.version} closed twice")
            self.closed = True


class Lifecycle(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.base = Path(self.folder.name, "m")
        self.base.mkdir()
        self.hidden = Path(self.folder.name, "hidden")
        self.writes = 0
        self.wrong, self.loaded, self.lent = [], [], []
        self.vanished, self.published = set(), None
        self.manager = Manager(self.load, self.on_availability, Retries(1, 0.001), 2, 2)
        self.source = VersionSource(
            "m", self.base, self.publish, self.missing_part, VersionPolicy()
        )

    # -- what the server provides

    @staticmethod
    def missing_part(path):
        return None if (path / "weights").exists() else "weights"

    def load(self, aspired):
        try:
            graph = (aspired.path / "graph").read_text()
        except OSError:  # removed or hidden meanwhile, though it may come back
            self.vanished.add(aspired.version)
            raise invalid_argument("no graph") from None
        if graph.startswith("broken"):
            raise invalid_argument("broken")
        loaded = Loaded(aspired.version, self.wrong)
        self.loaded.append(loaded)
        return loaded

    def publish(self, versions):
        self.published = {version.version: version for version in versions}
        self.manager.aspire("m", versions)

    def on_availability(self, model, available):
        if not available and self.loaded and self.published:
            self.wrong.append(f"unavailable while {set(self.published)} are aspired")

    # -- what happens on disk

    def is_there(self, number):
        return (self.base / str(number)).exists()

    def write(self, number, name, text):
        self.writes += 1
        (self.base / str(number) / name).write_text(text + " " * self.writes)

    @precondition(lambda self: self.base.exists())
    @rule(number=NUMBERS, graph=st.sampled_from(["good", "good", "broken"]))
    def write_version(self, number, graph):
        (self.base / str(number)).mkdir(exist_ok=True)
        self.write(number, "graph", graph)
        self.write(number, "weights", "")

    @precondition(lambda self: self.base.exists())
    @rule()
    def repair_all(self):
        for number in range(1, 5):
            if self.is_there(number):
                self.write_version(number, "good")

    @precondition(lambda self: self.base.exists())
    @rule(number=NUMBERS)
    def write_half_a_version(self, number):
        if not self.is_there(number):
            (self.base / str(number)).mkdir()
            self.write(number, "graph", "good")

    @precondition(lambda self: self.base.exists())
    @rule(number=NUMBERS)
    def remove(self, number):
        if self.is_there(number):
            doomed = self.base / str(number)
            doomed.rename(doomed.with_name("doomed"))
            shutil.rmtree(self.base / "doomed")

    @precondition(lambda self: self.base.exists())
    @rule(seldom=st.integers(0, 3))
    def hide_the_base_path(self, seldom):
        if seldom == 3:
            self.base.rename(self.hidden)

    @precondition(lambda self: self.hidden.exists())
    @rule()
    def show_the_base_path(self):
        self.hidden.rename(self.base)

    # -- what the server does

    @rule()
    def look(self):
        self.source.poll()

    @rule(policy=POLICIES)
    def change_the_policy(self, policy):
        self.source.policy = policy

    @rule(number=st.none() | NUMBERS)
    def borrow(self, number):
        stack = contextlib.ExitStack()
        try:
            version, loaded = stack.enter_context(self.manager.servable("m", number))
        except ServingError as error:
            wanted = "Latest(m)" if number is None else f"Specific(m, {number})"
            assert error.message == f"Servable not found for request: {wanted}"
            return
        assert version == loaded.version
        assert number in (None, version)
        with loaded.lock:
            assert not loaded.closed
            loaded.users += 1
        self.lent.append((stack, loaded))

    # Drawn values must not depend on threads: there may be nothing to give back.
    @rule(index=st.integers(0, 3))
    def give_back(self, index):
        if not self.lent:
            return
        stack, loaded = self.lent.pop(index % len(self.lent))
        with loaded.lock:
            loaded.users -= 1
        stack.close()

    # -- invariants

    @invariant()
    def no_errors(self):
        assert self.wrong == []

    @initialize(graph=st.sampled_from(["good", "broken"]))
    def start(self, graph):
        self.write_version(1, graph)
        self.the_policy_is_served_eventually()

    @precondition(lambda self: self.base.exists())
    @rule()
    def the_policy_is_served_eventually(self):
        kept = set(self.published or ())  # once complete, its files are not needed
        self.source.poll()
        self.source.poll()  # new versions are loaded when they have stopped changing
        found = [n for n in range(1, 5) if self.is_there(n)]
        candidates = self.source.policy.candidates(found)
        complete = [
            number
            for number in candidates
            if number in kept or not self.missing_part(self.base / str(number))
        ]
        if complete or not candidates:
            assert set(self.published) == set(complete[: self.source.policy.count])
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.is_settled():
            assert time.monotonic() < end, self.manager.statuses("m")
            time.sleep(0.0005)

    def is_settled(self):
        statuses = {status.version: status for status in self.manager.statuses("m")}
        wanted = self.published or {}
        borrowed = {loaded.version for _, loaded in self.lent}
        served = False
        for number in wanted:
            status = statuses[number]
            if status.state is State.AVAILABLE:
                served = True
                continue
            failed = status.state is State.END and status.error is not None
            waits = status.state is State.UNLOADING and number in borrowed
            if not (waits or (failed and self.is_broken(number))):
                return False
        rest = [status for number, status in statuses.items() if number not in wanted]
        ready = [status for status in rest if status.state is State.AVAILABLE]
        if len(ready) > (0 if served or not wanted else 1):
            return False
        return all(
            status.state in (State.AVAILABLE, State.END)
            or (status.state is State.UNLOADING and status.version in borrowed)
            for status in rest
        )

    def is_broken(self, number):
        directory = self.base / str(number)
        if number in self.vanished or not directory.exists():
            return True
        if self.missing_part(directory):
            return True  # and a failed version is not retried until it is complete
        return (directory / "graph").read_text().startswith("broken")

    def teardown(self):
        if not self.wrong and self.base.exists():
            self.repair_all()
            self.the_policy_is_served_eventually()
        for stack, loaded in self.lent:
            loaded.users -= 1
            stack.close()
        self.published = {}
        closed = self.manager.close(PATIENCE_SECONDS)
        self.folder.cleanup()
        assert closed
        assert self.wrong == []
        assert all(loaded.closed for loaded in self.loaded)


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # no shrinking: thread timing varies
)
