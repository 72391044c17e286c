"""`fovea inspect`: a self-contained page, and invalid arguments."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from fovea import cli
from fovea.training.datasets import load as data
from fovea.training.inspect import page
from fovea.training.inspect.drawing import pictures
from fovea.training.loop.train import train
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs
from tests.html_page import Page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory):
    """A run whose data set is found by the environment variable."""
    directory = tmp_path_factory.mktemp("inspected")
    recipe = Recipe(epochs=2, batch_size=32, augmentation="none")
    train("lenet5", data.load("mnist", data_dir), directory / "run", recipe)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOVEA_DATA_DIR", str(data_dir))
        yield directory / "run"


@pytest.fixture(scope="module")
def picture(tmp_path_factory, digits):
    path = tmp_path_factory.mktemp("pictures") / "digit.png"
    Image.fromarray(digits.x_test[0, ..., 0]).save(path)
    return path


@pytest.fixture(scope="module")
def inspected(run, picture):
    """The page about two layers of LeNet-5 and a user's image."""
    words = ["inspect", str(run), "--layer", "c1", "f6", "--unit", "2", "5"]
    assert cli.main([*words, "--image", str(picture)]) == 0
    return run / "inspect"


def test_a_page_is_self_contained(inspected):
    text = (inspected / page.FILE).read_text(encoding="utf-8")
    whole = Page(text)
    pictures = [a for tag, a in whole.elements if tag == "img"]
    assert len(pictures) >= 2 * 2 * 4 + 4 + 4
    assert all(a["alt"] for a in pictures)
    for tag, attributes in whole.elements:
        assert tag not in ("script", "link")
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name)
            assert not value or value.startswith(("data:image/png;base64,", "#"))
    assert not re.search(r"url\((?!#)|@import|@font-face", text)
    identifiers = [a["id"] for _, a in whole.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    named = {a["href"][1:] for tag, a in whole.elements if tag == "a"}
    assert named <= set(identifiers) and len(named) == 9


def test_the_page_describes_the_chosen_layers(inspected):
    text = Page((inspected / page.FILE).read_text(encoding="utf-8")).text
    for word in ("lenet5 on mnist", "digit.png", "tanh", "held-out"):
        assert word in text
    assert "6 units at 28×28 positions each; the receptive field is 5×5 pixels" in text
    assert "84 units; the receptive field is the whole image" in text
    assert "neither a rectifier nor max pooling" in text
    measured = runs.read_metrics(inspected.parent)["invariance"]
    assert measured["images"] == 100
    assert f"{measured['shift'][0]['accuracy']:.1%} are classified correctly" in text


def test_the_pictures_are_also_written_as_files(inspected):
    names = {path.name for path in inspected.iterdir()}
    assert {"filters-c1.png", "maps-c1.png", "maps-c5.png"} <= names
    for unit in (2, 5):
        for what in ("patches", "deconvolution", "guided", "maximised"):
            assert f"unit-f6-{unit}-{what}.png" in names
    text = (inspected / page.FILE).read_text(encoding="utf-8")
    data = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(data) == len(names) - 1
    for each in data:
        assert Image.open(io.BytesIO(base64.b64decode(each))).mode == "RGBA"
    assert sum(map(len, data)) < 3_000_000


def test_only_the_page_is_replaced(run, inspected, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert cli.main(["inspect", str(run), "--to", str(tmp_path)]) == 1
    assert "new, empty or hold an earlier page" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()
    page.check_target(inspected)
    with (
        pytest.raises(RuntimeError),
        runs.replacing_directory(inspected) as partial,
    ):
        (partial / page.FILE).write_text("half")
        raise RuntimeError
    assert len((inspected / page.FILE).read_text(encoding="utf-8")) > 100_000
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layer", "c2"], "The layers of lenet5 are normalisation, frame, c1, s2"),
        (
            ["--layer", "c1", "--unit", "6"],
            "units of c1 are 0 to 5. Received: --unit 6",
        ),
        (["--unit", "-1"], "Received: --unit -1"),
        (["--image", *["x.png"] * 13], "At most 12 pictures"),
        (["--image", "nowhere.png"], "(No such file or directory)"),
        (["--dataset", "npz:nowhere.npz"], "nowhere.npz"),
        (["--dataset", "folder:nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(run, tmp_path, words, message, capsys):
    target = tmp_path / "page"
    assert cli.main(["inspect", str(run), "--to", str(target), *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fovea: error: ") and error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_images_and_folders_that_are_not_runs(run, tmp_path, capsys):
    (tmp_path / "notes.png").write_text("no picture")
    words = ["inspect", str(run), "--image", str(tmp_path / "notes.png")]
    assert cli.main(words) == 1
    error = capsys.readouterr().err
    assert "a picture that Pillow can read" in error and error.count("\n") == 1
    assert cli.main(["inspect", str(tmp_path)]) == 1
    assert f"Received: run={tmp_path}" in capsys.readouterr().err
    assert cli.main(["inspect", "pretrained:mnist"]) == 1
    assert "--to DIR says where the page goes" in capsys.readouterr().err


def test_a_model_without_convolutions_has_the_other_sections(data_dir, tmp_path):
    run = tmp_path / "run"
    recipe = Recipe(epochs=1, batch_size=64, augmentation="none")
    train("softmax_regression", data.load("mnist", data_dir), run, recipe)
    assert cli.main(["inspect", str(run), "--data-dir", str(data_dir)]) == 0
    text = Page((run / "inspect" / page.FILE).read_text(encoding="utf-8")).text
    assert "does not start with a convolution: each of the 10 units of logits" in text
    assert "there are no maps to show" in text
    assert "Grad-CAM" not in text and "Integrated gradients: each pixel" in text
    assert (run / "inspect" / "filters-logits.png").exists()
    assert list((run / "inspect").glob("unit-logits-*-maximised.png"))


# ---- pictures


def test_pictures_have_the_colours_that_the_page_describes():
    values = np.array([[1.0, -1.0, 0.0, 0.5]])
    drawn = pictures.signed(values)
    assert drawn[0, 0].tolist() == [0xD5, 0x5E, 0x00, 255]
    assert drawn[0, 1].tolist() == [0x00, 0x72, 0xB2, 255]
    assert drawn[0, 2, 3] == 0 and drawn[0, 3, 3] == 128
    image = np.full((2, 2, 3), 200.0)
    inside = np.array([[True, False], [True, True]])
    assert pictures.pixels(image, inside)[..., 3].tolist() == [[255, 0], [255, 255]]
    grey = pictures.signed_image(np.zeros((2, 2, 3)))
    assert (grey[..., :3] == 128).all() and (grey[..., 3] == 255).all()


def test_tiles_are_laid_out_in_rows():
    tiles = [np.full((2, 3, 4), value, np.uint8) for value in (10, 20, 30)]
    sheet = pictures.montage(tiles, 2, gap=1)
    assert sheet.shape == (5, 7, 4)
    assert sheet[0, 0, 0] == 10 and sheet[0, 4, 0] == 20 and sheet[3, 0, 0] == 30
    assert not sheet[2].any() and not sheet[3:, 4:].any()
    assert pictures.fit(tiles[0], 44).shape == (29, 44, 4)
    assert np.array_equal(pictures.fit(sheet, 7), sheet)
    assert pictures.enlarge(tiles[0], 10).shape == (6, 9, 4)
