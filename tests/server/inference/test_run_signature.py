"""The inference core on a model without a session."""

import contextlib

import numpy as np
import pytest
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.inference.run_signature import (
    prepare_run,
    run_signature,
    run_together,
)
from fovea.serving.server.saved_model.signatures import Signatures


def signature(inputs, outputs):
    definition = meta_graph_pb2.SignatureDef()
    for alias in inputs:
        definition.inputs[alias].name = f"{alias}:0"
    for alias in outputs:
        definition.outputs[alias].name = f"{alias}:0"
    return definition


class Model:
    """A model whose outputs are their name's length plus the sum of the inputs."""

    check_method_names = False

    def __init__(self):
        definitions = {
            "one": signature(["x"], ["b", "aa"]),
            "two": signature(["x", "y"], ["ccc", "aa"]),
        }
        default = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[100])
        definitions["two"].defaults["y"].CopyFrom(default)
        self.signatures = Signatures(definitions)
        self.definitions = definitions
        self.runs = []

    def run(self, feeds, fetches, timeout=None):
        self.runs.append((sorted(feeds), list(fetches), timeout))
        total = sum(feeds.values())
        return [np.float32(len(name) - 2) + total for name in fetches]


@pytest.fixture
def model():
    return Model()


X = np.float32(10)


def test_outputs_are_in_alphabetical_order(model):
    outputs = run_signature(model, "one", {"x": X}, timeout=3)
    assert list(outputs) == ["aa", "b"]
    assert all(isinstance(array, np.ndarray) for array in outputs.values())
    assert {name: float(array) for name, array in outputs.items()} == {
        "aa": 12,
        "b": 11,
    }
    assert model.runs == [(["x:0"], ["aa:0", "b:0"], 3)]


def test_only_filtered_outputs_run_in_the_filter_s_order(model):
    assert list(run_signature(model, "one", {"x": X}, ["b"])) == ["b"]
    assert list(run_signature(model, "one", {"x": X}, ["b", "aa"])) == ["b", "aa"]
    assert [fetches for _, fetches, _ in model.runs] == [["b:0"], ["b:0", "aa:0"]]


def test_a_missing_input_has_the_signature_s_default(model):
    assert float(run_signature(model, "two", {"x": X}, ["aa"])["aa"]) == 112
    both = {"x": X, "y": np.float32(1)}
    assert float(run_signature(model, "two", both, ["aa"])["aa"]) == 13


def test_names_are_checked_before_any_array_is_read(model):
    class Unread(dict):
        def __getitem__(self, name):
            raise AssertionError(f"{name} was decoded")

    for arrays in ({}, {"x": X, "y": X}, {"z": X, "y": X}):
        with pytest.raises(ServingError, match="input size does not match signature"):
            run_signature(model, "one", Unread(arrays))
    assert model.runs == []


def test_the_timer_measures_only_the_graph(model):
    events = []

    @contextlib.contextmanager
    def timer():
        events.append(len(model.runs))
        yield
        events.append(len(model.runs))

    run_signature(model, "one", {"x": X}, timer=timer())
    assert events == [0, 1]
    with pytest.raises(ServingError, match="not found"):
        run_signature(model, "three", {"x": X}, timer=timer())
    assert events == [0, 1]


def test_several_signatures_in_one_run(model):
    runs = [
        prepare_run(model, "one", {"x": X}, ["b"]),
        prepare_run(model, "two", {"x": X, "y": X}, ["ccc", "aa"]),
    ]
    first, second = run_together(model, runs, 5)
    assert {name: float(array) for name, array in first.items()} == {"b": 21}
    assert {name: float(array) for name, array in second.items()} == {
        "ccc": 23,
        "aa": 22,
    }
    assert model.runs == [(["x:0", "y:0"], ["aa:0", "b:0", "ccc:0"], 5)]


def test_signatures_are_copies(model):
    """A message inside a parsed graph would keep all of it in memory."""
    model.definitions["one"].inputs["x"].name = "another:0"
    assert model.signatures["one"].inputs["x"].name == "x:0"
