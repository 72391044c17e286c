"""`fovea describe` and `fovea models`: tables, JSON, plots and errors."""

import argparse
import json
import xml.etree.ElementTree as ElementTree

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from fovea.models import registry
from fovea.models.anatomy import drawing
from fovea.models.anatomy.formatting import format_count
from fovea.models.anatomy.layout import cells
from fovea.models.anatomy.walk import anatomy
from fovea.models.commands import catalogue, describe
from fovea.models.parse_options import parse_options


def run(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args(words, argparse.Namespace(debug=False)))


def test_the_table_fits_100_columns_and_shows_the_totals(capsys):
    assert run(describe, "lenet5", "--input", "28x28x1", "--batch-size", "64") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    assert "lenet5, 28×28×1 images" in text
    assert "61,706 (61,706 trained)" in text
    assert "416,520 multiply-adds" in text
    assert "memory at 64:" in text
    c3 = next(line for line in text.splitlines() if line.startswith("c3"))
    assert c3.split() == [
        *["c3", "Conv", "5×5", "10×10×16", "2,416"],
        *["1.9M", "242K", "240K", "14×14", "2"],
    ]


def test_json_has_all_fields(capsys):
    run(describe, "lenet5", "--input", "32x32x3", "--classes", "7", "--json")
    values = json.loads(capsys.readouterr().out)
    assert values["input_shape"] == [32, 32, 3]
    assert values["parameters"] == sum(x["parameters"] for x in values["layers"])
    assert values["layers"][-1]["output_shape"] == [7]
    c3 = next(x for x in values["layers"] if x["name"] == "c3")
    assert c3["receptive_field"]["size"] == [14, 14]
    assert values["memory_bytes"]["batch_size"] == 128


def test_options_reach_the_builder(capsys):
    run(describe, "softmax_regression", "--set", "augmentation=mnist", "--json")
    names = [x["name"] for x in json.loads(capsys.readouterr().out)["layers"]]
    assert any("augment" in name for name in names)


def test_warnings_are_printed(capsys, monkeypatch):
    def leaky(shape, classes):
        images = keras.Input(shape)
        return keras.Model(images, layers.MaxPooling2D(2, name="pool")(images))

    monkeypatch.setattr(registry, "build", lambda name, *sizes: leaky(*sizes))
    run(describe, "lenet5", "--input", "33x32x1")
    text = " ".join(capsys.readouterr().out.split())
    assert "! pool: 1 of 33 rows and 0 of 32 columns" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lenet5", "--input", "28x28"], "Received: input=28x28"),
        (["lenet5", "--input", "28,28,1"], "Received: input=28,28,1"),
        (["lenet5", "--input", "0x28x1"], "Received: input=0x28x1"),
        (["lenet5", "--input=-8x28x1"], "Received: input=-8x28x1"),
        (["lenet5", "--input", "8x8x1"], "Received: input_shape=(8, 8, 1)"),
        (["lenet5", "--classes", "0"], "Received: num_classes=0"),
        (["lenet5", "--batch-size", "0"], "Received: batch_size=0"),
        (["lenet5", "--set", "activation"], "Received: set=activation"),
        (["lenet5", "--set", "=relu"], "Received: set==relu"),
        (["lenet5", "--set", "a=1", "--set", "a=2"], "Received: set=a=2"),
        (["lenet5", "--set", "activatoin=relu"], "Received: activatoin=relu"),
        (["lenet4"], "Received: model=lenet4"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_invalid_input_is_reported_in_one_sentence(words, message, capsys):
    with pytest.raises(ValueError) as error:
        run(describe, *words)
    assert str(error.value).endswith(message)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_values_of_options():
    options = parse_options(
        ["a=0.5", "b=3", "c=true", "d=relu", "e=none", "f=None", "g=x=y", "h="]
    )
    expected = {"a": 0.5, "b": 3, "c": True, "d": "relu", "e": "none", "f": None}
    assert options == {**expected, "g": "x=y", "h": ""}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (850, "850"),
        (999, "999"),
        (1000, "1.0 K"),
        (99_940, "99.9 K"),
        (99_960, "100 K"),
        (160_563_200, "161 M"),
        (999_960, "1.0 M"),
        (15_470_264_320, "15.5 G"),
        (10**12, "1.0 T"),
    ],
)
def test_short_numbers(number, text):
    assert format_count(number) == text


def test_plot_png(tmp_path, capsys):
    target = tmp_path / "lenet5.png"
    run(describe, "lenet5", "--input", "28x28x1", "--plot", str(target))
    with Image.open(target) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 300
    blue = (abs(pixels.astype(int) - (0x56, 0xB4, 0xE9)) < 3).all(axis=-1)
    assert blue.sum() > 1000  # the convolutions
    assert list(tmp_path.iterdir()) == [target]


def test_plot_svg_names_every_layer_and_is_reproducible(tmp_path):
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    for target in (first, second):
        run(describe, "lenet5", "--input", "28x28x1", "--plot", str(target))
    assert first.read_bytes() == second.read_bytes()
    ElementTree.parse(first)
    text = first.read_text()
    for word in ("c1", "28×28×6", "48,120", "logits"):
        assert f"<!-- {word} -->" in text


@pytest.mark.parametrize("name", ["net.pdf", "net", "missing/net.png", "folder.png"])
def test_an_invalid_plot_target_is_rejected_before_any_work(name, tmp_path, capsys):
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"Received: plot="):
        run(describe, "lenet5", "--plot", str(tmp_path / name))
    assert sorted(tmp_path.rglob("*")) == before
    assert capsys.readouterr().out == ""


def test_a_failed_plot_keeps_the_old_file(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def full(self, path, **options):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    target = tmp_path / "net.png"
    target.write_text("old")
    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(ValueError, match=r"No space left.*Received: plot="):
        run(describe, "lenet5", "--plot", str(target))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def residual_network(blocks):
    x = images = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(x)
    for i in range(blocks):
        y = layers.Conv2D(8, 3, padding="same", name=f"conv{i}a")(x)
        y = layers.BatchNormalization()(y)
        y = layers.Conv2D(8, 3, padding="same", name=f"conv{i}b")(layers.ReLU()(y))
        x = layers.Add(name=f"add{i}")([x, y])
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(images, layers.Dense(4, name="logits")(x), name="residual")


def test_equal_blocks_are_drawn_once_with_their_number(tmp_path):
    parts = anatomy(residual_network(5))
    found = cells(parts)
    assert [cell.last.layer.name for cell in found[1:]] == [
        *["stem", "add0", "mean", "logits"]
    ]
    block = found[2]
    assert (block.times, block.bypassed, block.lanes) == (5, True, 2)
    assert [node.layer.name for node in block.inner] == ["conv0a", "conv0b"]
    # The normalisation's parameters are in the box before it.
    assert block.inner[0].parameters == 8 * 3 * 3 * 8 + 8 + 4 * 8
    drawing.draw(parts, tmp_path / "net.svg")
    assert "<!-- × 5 -->" in (tmp_path / "net.svg").read_text()


def test_branches_are_drawn_in_separate_lanes(tmp_path):
    images = keras.Input((16, 16, 3))
    narrow = layers.Conv2D(4, 1, name="narrow")(images)
    wide = layers.Conv2D(4, 1, name="squeeze")(images)
    wide = layers.Conv2D(4, 5, padding="same", name="wide")(wide)
    pool = layers.MaxPooling2D(3, 1, padding="same", name="pool")(images)
    x = layers.Concatenate(name="join")([narrow, wide, pool])
    parts = anatomy(keras.Model(images, x))
    block = cells(parts)[1]
    places = {node.layer.name: (node.lane, node.column) for node in block.inner}
    assert places["squeeze"][0] == places["wide"][0]
    assert len({lane for lane, _ in places.values()}) == block.lanes == 3
    assert len(set(places.values())) == 4
    drawing.draw(parts, tmp_path / "net.png")


def test_side_heads_are_described_but_not_drawn(tmp_path):
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="conv1")(images)
    side = layers.Dense(2, name="a_side")(layers.Flatten()(x))
    x = layers.Conv2D(4, 3, name="conv2")(x)
    logits = layers.Dense(2, name="logits")(layers.Flatten()(x))
    parts = anatomy(keras.Model(images, {"a_side": side, "logits": logits}))
    assert "a_side" in [layer.name for layer in parts.layers]
    drawn = [cell.last.layer.name for cell in cells(parts)[1:]]
    assert drawn == ["conv1", "conv2", "logits"]
    assert parts.receptive_field == (5, 5)
    drawing.draw(parts, tmp_path / "net.svg")
    assert "Side heads are not drawn" in (tmp_path / "net.svg").read_text()


def test_the_zoo_is_listed(capsys, monkeypatch):
    few = {name: registry.ARCHITECTURES[name] for name in ("lenet5", "vgg16")}
    monkeypatch.setattr(registry, "ARCHITECTURES", few)
    assert run(catalogue) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    vgg16 = next(line for line in text.splitlines() if line.startswith("vgg16"))
    words = vgg16.split()
    assert words[:6] == ["vgg16", "2014", "224×224×3", "138,357,544", "15.5", "G"]
    assert words[6] == "212×212"
    assert run(catalogue, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["lenet5", "vgg16"]
    assert rows[0]["parameters"] == 61_706
    assert rows[0]["receptive_field"] == [32, 32]
