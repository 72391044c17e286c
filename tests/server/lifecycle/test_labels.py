import pytest
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.lifecycle.labels import Labels
from fovea.serving.server.lifecycle.model_spec import resolve


def model(**labels):
    return model_server_config_pb2.ModelConfig(name="m", version_labels=labels)


def meaning(labels, label):
    return resolve(model_pb2.ModelSpec(name="m", version_label=label), labels)[1]


def test_labels_before_the_first_config():
    with pytest.raises(ServingError) as error:
        meaning(Labels(), "stable")
    assert str(error.value) == "UNAVAILABLE: Model labels does not init yet.stable"


def test_only_a_new_label_may_be_assigned_before_its_version_is_ready():
    labels, available = Labels(), {1}

    def assign(allow_unavailable, **versions):
        labels.assign(
            [model(**versions)], lambda _, n: n in available, allow_unavailable
        )

    assign(False, stable=1)
    with pytest.raises(ServingError, match=r"FAILED_PRECOND.*version 2 of model m"):
        assign(False, stable=1, canary=2)
    assign(True, stable=1, canary=2)
    assert (meaning(labels, "stable"), meaning(labels, "canary")) == (1, 2)
    with pytest.raises(ServingError, match="version 3 of model m"):
        assign(True, canary=3)
    assign(True, canary=2)  # still not ready, and still the same version
    available.add(3)
    assign(True, canary=3)
    assert meaning(labels, "canary") == 3
    with pytest.raises(
        ServingError, match="Unrecognized servable version label: stable"
    ):
        meaning(labels, "stable")


def test_the_empty_label_is_a_label():
    labels = Labels()
    labels.assign([], lambda *_: True, False)
    with pytest.raises(ServingError, match=r"version label: $"):
        meaning(labels, "")
