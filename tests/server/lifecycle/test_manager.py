"""The manager with servables without content: no TensorFlow, no clock."""

import threading
from pathlib import Path

import pytest

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.states import Retries, State
from fovea.serving.server.lifecycle.versions import AspiredVersion


class Named:
    def __init__(self, version, journal):
        self.version, self.journal = version, journal

    def close(self):
        self.journal.append(f"close {self.version}")


class World:
    """A manager, a record of its actions, and the versions that fail to load."""

    def __init__(self, *options):
        self.journal, self.broken, self.health = [], set(), []
        self.gate = threading.Event()
        self.gate.set()
        self.together = threading.Barrier(1)
        self.manager = Manager(
            self.load, lambda *change: self.health.append(change), *options
        )

    def load(self, aspired):
        assert self.gate.wait(30)
        self.together.wait(30)
        self.journal.append(f"load {aspired.version}")
        if aspired.version in self.broken:
            raise invalid_argument(f"broken {aspired.version}")
        return Named(aspired.version, self.journal)

    def aspire(self, *numbers, files=0, model="m"):
        fingerprint = (("f", files, 0),)
        self.manager.aspire(
            model, [AspiredVersion(n, Path(str(n)), fingerprint) for n in numbers]
        )

    def states(self, model="m"):
        return {s.version: s.state for s in self.manager.statuses(model)}


@pytest.fixture
def worlds():
    made = []

    def make(*options):
        made.append(World(*options))
        return made[-1]

    yield make
    for world in made:
        world.gate.set()
        assert world.manager.close(30)


@pytest.fixture
def world(worlds):
    return worlds()


def latest(world):
    with world.manager.servable("m") as (version, servable):
        assert servable.version == version
        return version


def test_nothing_is_served_before_it_is_loaded(world):
    world.gate.clear()
    world.aspire(1)
    with pytest.raises(
        ServingError, match=r"Servable not found for request: Latest\(m\)"
    ):
        latest(world)
    world.gate.set()
    world.manager.wait_until_available(["m"])
    assert latest(world) == 1
    assert world.health == [("m", False), ("m", True)]


def test_the_old_version_is_unloaded_after_the_new_one_is_ready(world, kit):
    world.aspire(1)
    world.manager.wait_until_available(["m"])
    world.aspire(2)
    kit.until(lambda: world.states() == {2: State.AVAILABLE, 1: State.END})
    assert world.journal == ["load 1", "load 2", "close 1"]
    assert world.health == [("m", False), ("m", True)]
    with (
        pytest.raises(ServingError, match=r"Specific\(m, 1\)"),
        world.manager.servable("m", 1),
    ):
        pass


def test_rollback_loads_the_old_version_again(world, kit):
    for number in (1, 2, 1):
        world.aspire(number)
        kit.until(lambda number=number: world.states().get(number) is State.AVAILABLE)
    kit.until(lambda: world.states() == {2: State.END, 1: State.AVAILABLE})
    assert world.journal == ["load 1", "load 2", "close 1", "load 1", "close 2"]


def test_unloading_waits_for_the_last_user(world, kit):
    world.aspire(1)
    world.manager.wait_until_available(["m"])
    with world.manager.servable("m") as (version, _):
        world.aspire(2)
        kit.until(lambda: world.states() == {2: State.AVAILABLE, 1: State.UNLOADING})
        assert version == 1
        assert "close 1" not in world.journal
        assert latest(world) == 2
    kit.until(lambda: world.states()[1] is State.END)


def test_a_failed_load_keeps_the_old_version_and_is_retried_on_changes(world, kit):
    world.aspire(1)
    world.manager.wait_until_available(["m"])
    world.broken = {2}
    world.aspire(2)
    kit.until(lambda: world.states() == {2: State.END, 1: State.AVAILABLE})
    failed = world.manager.statuses("m")[0]
    assert str(failed.error) == "INVALID_ARGUMENT: broken 2"
    world.aspire(2)  # the next poll: nothing has changed on disk
    assert latest(world) == 1
    world.broken = set()
    world.aspire(2, files=1)
    kit.until(lambda: world.states() == {2: State.AVAILABLE, 1: State.END})
    assert world.journal.count("load 2") == 2
    assert world.manager.statuses("m")[0].error is None


def test_a_failed_version_that_was_removed_and_restored_is_retried(world, kit):
    world.broken = {1}
    world.aspire(1)
    kit.until(lambda: world.states() == {1: State.END})
    world.aspire()
    world.broken = set()
    world.aspire(1)
    kit.until(lambda: world.states() == {1: State.AVAILABLE})


def test_a_failed_start_names_version_and_cause(world):
    world.broken = {1}
    world.aspire(1)
    with pytest.raises(ServingError) as error:
        world.manager.wait_until_available(["m"])
    assert str(error.value) == (
        "UNKNOWN: 1 servable(s) did not become available: "
        "{{{name: m version: 1} due to error: INVALID_ARGUMENT: broken 1}, }"
    )


def test_nothing_aspired_unloads_everything(world, kit):
    world.aspire(1)
    world.manager.wait_until_available(["m"])
    world.aspire()
    kit.until(lambda: world.states() == {1: State.END})
    assert world.health[-1] == ("m", False)


def test_closing_waits_no_longer_than_its_timeout(world):
    world.aspire(1)
    world.manager.wait_until_available(["m"])
    with world.manager.servable("m"):
        assert not world.manager.close(0.01)


def test_a_failed_load_is_retried_as_often_as_configured(worlds, kit):
    world = worlds(Retries(2, 0.01))
    world.broken = {1}
    world.aspire(1)
    kit.until(lambda: world.states() == {1: State.END})
    assert world.journal == ["load 1"] * 3


def test_waiting_for_a_retry_blocks_no_other_load(worlds, kit):
    world = worlds(Retries(1, 3600))
    world.broken = {7}
    world.aspire(7)
    kit.until(lambda: world.journal == ["load 7"])
    world.aspire(1, model="other")
    world.manager.wait_until_available(["other"])
    (waiting,) = world.manager.statuses("m")
    assert (waiting.state, waiting.error) == (State.LOADING, None)
    world.broken = set()
    world.aspire(7, files=1)  # it does not wait for an hour: the files have changed
    world.manager.wait_until_available(["m"])


def test_a_version_that_waits_for_a_retry_can_be_unaspired(worlds, kit):
    world = worlds(Retries(1, 3600))
    world.broken = {1}
    world.aspire(1)
    kit.until(lambda: world.journal == ["load 1"])
    world.aspire()
    kit.until(lambda: world.states() == {1: State.END})
    assert str(world.manager.statuses("m")[0].error) == "INVALID_ARGUMENT: broken 1"


def test_a_version_unaspired_before_its_load_is_never_loaded(world):
    world.gate.clear()
    world.aspire(1)
    world.aspire(1, 2)
    world.aspire(1)
    world.gate.set()
    world.manager.wait_until_available(["m"])
    assert world.states() == {1: State.AVAILABLE, 2: State.END}
    assert world.journal == ["load 1"]


def test_several_models_are_loaded_in_parallel(worlds):
    world = worlds(Retries(), 2)
    world.together = threading.Barrier(2)
    world.aspire(1, model="a")
    world.aspire(1, model="b")
    world.manager.wait_until_available(["a", "b"])


def test_the_error_of_a_start_names_the_newest_version_of_each_model(world):
    world.broken = {1, 2}
    world.aspire(1, 2, model="b")
    world.aspire(1, model="a")
    world.aspire(3, model="good")
    with pytest.raises(ServingError) as error:
        world.manager.wait_until_available(["good", "b", "a"], called="model")
    assert str(error.value) == (
        "UNKNOWN: 2 model(s) did not become available: "
        "{{{name: a version: 1} due to error: INVALID_ARGUMENT: broken 1}, "
        "{{name: b version: 2} due to error: INVALID_ARGUMENT: broken 2}, }"
    )


def test_waiting_callers_return_when_the_manager_closes(world):
    waiting = threading.Timer(0.1, world.manager.end_waiting)
    waiting.start()
    with pytest.raises(ServingError, match="UNAVAILABLE: The server is shutting down"):
        world.manager.wait_until_available(["never"])
