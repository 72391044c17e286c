"""Configs, version sources and the manager together, without TensorFlow's graphs."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.lifecycle.configured import ConfiguredModels
from fovea.serving.server.lifecycle.manager import Manager
from fovea.serving.server.lifecycle.states import State


class NoServable:
    def close(self):
        pass


class World:
    """Models of the given poll interval over a directory of empty versions."""

    def __init__(self, root, poll_seconds):
        self.root = root
        self.manager = Manager(lambda aspired: NoServable())
        self.models = ConfiguredModels(self.manager, lambda path: None, poll_seconds)

    def write(self, *versions, model="m"):
        for version in versions:
            (self.root / model / str(version)).mkdir(parents=True)

    def apply(self, *names, more="", **options):
        configs = "".join(
            f'config {{ name: "{name}" base_path: "{self.root}/{name}" '
            f'model_platform: "tensorflow" {more} }} '
            for name in names
        )
        self.apply_text(f"model_config_list {{ {configs} }}", **options)

    def apply_text(self, text, **options):
        config = model_server_config_pb2.ModelServerConfig()
        self.models.apply(text_format.Parse(text, config), **options)

    def served(self, model="m"):
        return {
            status.version
            for status in self.manager.statuses(model)
            if status.state is State.AVAILABLE
        }


@pytest.fixture
def world(tmp_path):
    made = []

    def make(poll_seconds):
        made.append(World(tmp_path, poll_seconds))
        return made[-1]

    yield make
    for one in made:
        one.models.stop()
        assert one.manager.close(30)


def test_an_interval_of_zero_polls_once_for_each_config(world, kit):
    once = world(0)
    once.write(1)
    once.apply("m")
    once.write(2)
    once.apply("m")  # the same again
    assert once.served() == {1}
    once.apply("m", more="model_version_policy { all {} }")
    kit.until(lambda: once.served() == {1, 2})


def test_a_negative_interval_never_polls(world):
    never = world(-1)
    never.write(1)
    wanted = iter([True, True, False])
    never.apply("m", still_wanted=lambda: next(wanted, False))
    assert never.manager.statuses("m") == []


def test_new_versions_and_models_are_found_and_old_ones_dropped(world, kit):
    often = world(0.02)
    often.write(1)
    often.apply("m")
    often.write(2)
    kit.until(lambda: often.served() == {2})
    often.write(1, model="n")
    often.apply("n")
    assert often.served("n") == {1}
    kit.until(lambda: often.served() == set())
    often.apply()
    kit.until(lambda: often.served("n") == set())


def test_a_config_without_a_list_of_models(world):
    some = world(0)
    some.write(1)
    some.apply("m")
    some.apply_text("")  # without a config nothing changes
    with pytest.raises(ServingError, match="does not yet support custom model config"):
        some.apply_text("custom_model_config {}")
    assert some.served() == {1}


def test_a_reload_whose_caller_has_cancelled_is_not_started(world):
    some = world(0)
    some.write(1)
    some.apply("m", still_wanted=lambda: False)
    assert some.manager.statuses("m") == []


def test_labels_are_checked_before_the_versions_of_their_config(world):
    some = world(0)
    some.write(1)
    label = 'version_labels { key: "x" value: 1 }'
    for _ in range(2):  # the rejected config is kept, but nothing is loaded
        with pytest.raises(ServingError, match="Request to assign label"):
            some.apply("m", more=label)
        assert some.manager.statuses("m") == []
    some.apply("m")
    some.apply("m", more=label)
    assert some.manager.labels.version("m", "x") == 1
