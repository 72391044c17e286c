"""TensorFlow Serving's Classify, with features and with images."""

import numpy as np
import pytest

from fovea import BadImage, InvalidRequest
from fovea.serving.client.calls.classify import to_example


def best(result):
    return max(result.classes, key=lambda each: each[1])[0]


def test_features_and_images(client, shade, tmp_path):
    path = tmp_path / "two.png"
    shade(2).save(path)
    examples = [{"shade": 3.0}, {"shade": 4}, {"shade": np.array([5])}, path, shade(6)]
    results = client.classify(examples, model="mnist")
    assert list(map(best, results)) == [f"shade-{n}" for n in (3, 4, 5, 2, 6)]
    assert results[0].model_version == 2
    assert results[0].classes[3] == ("shade-3", pytest.approx(0.91))
    assert len(results[0].classes) == 10


def test_many_examples_travel_in_several_requests(server, client):
    server.servicer.calls.clear()
    examples = ({"shade": n % 10} for n in range(100))
    results = client.classify(examples, model="mnist", batch_size=40, label="stable")
    assert list(map(best, results)) == [f"shade-{n % 10}" for n in range(100)]
    assert server.servicer.calls["Classify"] == 3
    assert results[0].model_version == 1
    assert client.classify([], model="mnist") == []


def test_features_that_all_examples_share(client):
    results = client.classify(
        [{"a": "x"}, {"a": b"y"}], model="mnist", context={"shade": 7}
    )
    assert list(map(best, results)) == ["shade-7"] * 2


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ("ä", "bytes_list"),
        (b"\0", "bytes_list"),
        (["a", "b"], "bytes_list"),
        (True, "int64_list"),
        ([1, np.int8(2)], "int64_list"),
        (np.arange(6).reshape(2, 3), "int64_list"),
        ([1, 2.5], "float_list"),
        (np.float32(2.5), "float_list"),
        ([], "bytes_list"),
    ],
)
def test_features_are_the_official_ones(official, values, field):
    ours = to_example({"x": values})
    theirs = official.example.Example.FromString(ours.SerializeToString())
    feature = theirs.features.feature["x"]
    assert feature.WhichOneof("kind") == field or len(np.ravel(values)) == 0
    expected = np.ravel(np.array(values, object)).tolist()
    if field == "bytes_list":
        expected = [v.encode() if isinstance(v, str) else v for v in expected]
    assert list(getattr(feature, field).value) == expected


def test_examples_that_cannot_be_sent(client, tmp_path):
    with pytest.raises(TypeError, match=r"Received: x=\['a', 1\]"):
        client.classify([{"x": ["a", 1]}], model="mnist")
    with pytest.raises(ValueError, match="Received: dict"):
        client.classify({"x": 1}, model="mnist")
    with pytest.raises(ValueError, match="Received: batch_size=0"):
        client.classify([], model="mnist", batch_size=0)
    with pytest.raises(BadImage, match="does not exist"):
        client.classify([tmp_path / "a.png"], model="mnist")


def test_a_signature_that_is_missing(client):
    with pytest.raises(InvalidRequest, match=r"Its signatures: .*'classify'"):
        client.classify([{"shade": 1}], model="mnist", signature="sort")
