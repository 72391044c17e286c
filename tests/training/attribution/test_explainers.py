"""The choice of a model's attribution method."""

import pytest

from fovea import models
from fovea.training.attribution.explainers import chosen, explainer


@pytest.mark.parametrize(
    ("name", "shape", "method", "words"),
    [
        ("lenet5", (28, 28, 1), "integrated_gradients", "integrated gradients from a"),
        ("lenet5", (28, 28, 3), "grad_cam", "Grad-CAM on the maps of c3"),
        ("mlp", (8, 8, 3), "integrated_gradients", "integrated gradients from a"),
    ],
)
def test_the_default_method_suits_the_model(name, shape, method, words):
    model = models.build(name, shape, 4)
    assert chosen(model) == method
    assert explainer(model)[1].startswith(words)


def test_a_named_method_is_used_or_rejected_with_a_reason():
    assert chosen(models.build("lenet5", (28, 28, 1), 4), "grad_cam") == "grad_cam"
    mlp = models.build("mlp", (8, 8, 3), 4)
    with pytest.raises(ValueError, match=r"integrated_gradients and occlusion .* mlp"):
        explainer(mlp, "grad_cam")
    with pytest.raises(ValueError, match="Received: gradcam"):
        explainer(mlp, "gradcam")
