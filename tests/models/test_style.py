"""The style options, independently of the networks that take them."""

import pytest

from fovea.models.style import Style


def test_options_are_those_that_are_not_excluded():
    options = Style(dropout=0.5, excluded=("padding", "stride")).options()
    assert options["dropout"] == 0.5
    assert set(options) == {
        *("activation", "pooling", "normalisation", "dropout"),
        *("l1", "l2", "initialiser"),
    }


def test_an_updated_style_keeps_its_other_values():
    style = Style(activation="tanh", excluded=("padding",)).updated({"stride": 2})
    assert style == Style(activation="tanh", stride=2, excluded=("padding",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "same"}, r"Received: padding=same$"),
        ({"activatoin": "relu"}, r"did you mean activation\?.*activatoin=relu$"),
        ({"excluded": ()}, r"Received: excluded=\(\)$"),
    ],
)
def test_an_unsupported_option_is_a_type_error(options, message):
    with pytest.raises(TypeError, match=message):
        Style(excluded=("padding",)).updated(options)


def test_completing_replaces_only_none():
    style = Style(pooling=None, stride=3).completed(pooling="max", stride=1)
    assert (style.pooling, style.stride) == ("max", 3)


def test_an_incomplete_default_is_rejected():
    with pytest.raises(ValueError, match="Received: normalisation=None"):
        Style(normalisation=None).check()
