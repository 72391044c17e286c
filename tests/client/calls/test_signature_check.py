"""Requests are checked against the model's metadata, before and after sending."""

import numpy as np
import pytest

from fovea import Client, InvalidRequest, ModelNotFound

GOOD = np.zeros((2, 4, 4, 1), np.uint8)


def rejection(client, inputs, **options):
    with pytest.raises(InvalidRequest) as caught:
        client.predict(inputs, model="mnist", **options)
    assert caught.value.code is None
    assert caught.value.mismatch
    assert str(caught.value).count("Received") == 1
    return str(caught.value)


def test_a_request_that_contradicts_the_signature_is_not_sent(server):
    with Client(server.target, check=True) as client:
        server.servicer.calls.clear()
        assert rejection(client, {"images": GOOD.astype(np.float32)}) == (
            "Model 'mnist' version 2 cannot take this, so it was not sent. Input "
            "'images' of its signature 'serving_default' is uint8 [?, 4, 4, 1]. "
            "Received: float32 [2, 4, 4, 1]."
        )
        assert rejection(client, {"images": GOOD[0]}).endswith("uint8 [4, 4, 1].")
        assert rejection(client, {"images": GOOD[:, :3]}).endswith(
            "uint8 [2, 3, 4, 1]."
        )
        assert rejection(client, GOOD[:, :, :3]).endswith(
            "Received: uint8 [2, 4, 3, 1]."
        )
        assert rejection(client, {"image": GOOD, "images": GOOD}).endswith(
            "takes 'images'. Received: 'image', 'images'."
        )
        assert rejection(client, {}).endswith("takes 'images'. Received: no inputs.")
        assert rejection(client, {"images": GOOD}, output_filter=["a"]).endswith(
            "returns 'class_id', 'label', 'probabilities'. Received: output_filter='a'."
        )
        assert "Its signatures: '__saved_model_init_op', 'classify'" in rejection(
            client, {"images": GOOD}, signature="serve"
        )
        with pytest.raises(ModelNotFound, match="Versions that are ready: 2"):
            client.predict({"images": GOOD}, model="mnist", version=7)
        assert server.servicer.calls["mnist"] == 0
        assert client.predict({"images": GOOD}, model="mnist").model_version == 2
        assert [each.class_id for each in client.predict(GOOD, model="mnist")] == [0, 0]


def test_metadata_is_requested_when_it_is_needed(server, client):
    server.servicer.calls.clear()
    client.predict({"images": GOOD}, model="mnist")
    assert server.servicer.calls["GetModelMetadata"] == 0
    client.metadata("mnist")
    client.predict({"images": GOOD}, model="mnist")
    assert server.servicer.calls["GetModelMetadata"] == 1
    rejection(client, {"images": GOOD[0]})  # checked against new metadata
    assert server.servicer.calls["GetModelMetadata"] == 2


def test_metadata_of_another_version_is_discarded(server):
    labels = {"moving": 1}
    known = server.servicer.labels
    with Client(server.target, check=True) as client:
        try:
            server.servicer.labels = labels
            server.servicer.calls.clear()
            target = {"model": "mnist", "label": "moving"}
            assert client.predict({"images": GOOD}, **target).model_version == 1
            labels["moving"] = 2
            assert client.predict({"images": GOOD}, **target).model_version == 2
            assert server.servicer.calls["GetModelMetadata"] == 1
            assert client.predict({"images": GOOD}, **target).model_version == 2
            assert server.servicer.calls["GetModelMetadata"] == 2
        finally:
            server.servicer.labels = known


def test_output_filter_limits_the_outputs(client):
    result = client.predict({"images": GOOD}, model="mnist", output_filter=["class_id"])
    assert {name: array.tolist() for name, array in result.outputs.items()} == {
        "class_id": [0, 0]
    }
