"""`fovea augment`."""

import argparse

import numpy as np
import pytest
from PIL import Image

from fovea.training.commands import augment as command
from fovea.training.datasets import load as data
from fovea.training.rendering import contact_sheet

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_data_sets(monkeypatch):
    """Two data sets of noise that replace those on disk."""
    shapes = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}

    def load(name, data_dir=None, **settings):
        images = RNG.integers(0, 256, (40, *shapes[name]), np.uint8)
        labels = np.arange(40) % 4
        return data.Dataset(
            name, images, labels, images, labels, tuple("abcd"), "random numbers"
        )

    monkeypatch.setattr(data, "load", load)


def augment(*words) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(list(map(str, words)), _args()))


def _args():
    return argparse.Namespace(debug=False)


@pytest.mark.parametrize(
    "dataset, policy",
    [("mnist", "mnist"), ("cifar10", "cifar_airbench"), ("cifar10", "none")],
)
def test_writes_a_picture(dataset, policy, tmp_path, capsys):
    path = tmp_path / "sheet.png"
    words = ("--dataset", dataset, "--policy", policy, "--images", 3)
    assert augment(*words, "--output", path) == 0
    assert str(path) in capsys.readouterr().out
    with Image.open(path) as sheet:
        assert sheet.format == "PNG" and sheet.mode == "RGB"
        width, height = sheet.size
    assert width > 9 * 96 and 3 * 96 < height < 5 * 96 + 100
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_default_name_and_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "EPOCHS", 2)

    def picture(seed):
        global RNG
        RNG = np.random.default_rng(0)
        words = ("--dataset", "mnist", "--policy", "mnist", "--images", 1)
        augment(*words, "--seed", seed)
        return (tmp_path / "augment-mnist-mnist.png").read_bytes()

    assert picture(1) == picture(1) != picture(2)


def test_shows_the_layers_outputs():
    from fovea.models import augmentation

    images = RNG.integers(0, 256, (6, 8, 8, 3), np.uint8)
    (kept,) = contact_sheet.augmented(images, [], 1)
    np.testing.assert_array_equal(kept, images)
    flip = augmentation.AlternatingFlip((-1, 1), seed=1)
    one, two = contact_sheet.augmented(images, [flip], 2)
    np.testing.assert_array_equal(one, two[:, :, ::-1])
    assert contact_sheet.describe(augmentation.Cutout(16)) == "Cutout (size=16)"
    assert contact_sheet.describe(augmentation.HorizontalFlip()) == "HorizontalFlip"


def test_positions_of_the_cells():
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[1] = (255, 0, 0)
    epochs = np.full((1, 2, 32, 32, 3), 128, np.uint8)
    sheet = contact_sheet.draw(images, epochs, ["cat", "dog"], "title", "steps")
    colours = dict((colour, count) for count, colour in sheet.getcolors(10000))
    for colour, cells in (((255, 0, 0), 1), ((128, 128, 128), 2)):
        assert colours[colour] >= cells * 96 * 96


def test_classes_take_turns():
    labels = RNG.permutation(np.repeat(np.arange(3), [50, 30, 2]))
    chosen = contact_sheet.choose(labels, 8, seed=0)
    assert labels[chosen].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert len(set(chosen.tolist())) == 8
    assert chosen.tolist() != contact_sheet.choose(labels, 8, seed=1).tolist()


@pytest.mark.parametrize(
    "words, message",
    [
        (("--output", "x.jpg"), "is a .png file"),
        (("--output", "missing/x.png"), "missing is not a directory"),
        (("--output", "there.png"), "it is a directory"),
        (("--images", 0), "Received: --images 0"),
        (("--policy", "mnst"), r"mean mnist\?.*Received: augmentation=mnst$"),
    ],
)
def test_invalid_arguments(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.png").mkdir()
    with pytest.raises((ValueError, OSError), match=message) as caught:
        augment("--dataset", "mnist", "--policy", "mnist", *words)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]


def test_a_failing_disk_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")

    def full(self, target, **kwargs):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    sheet = Image.new("RGB", (8, 8))
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="cannot be written: No space left on device"):
        contact_sheet.write(sheet, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]
