"""report.html: self-contained, accessible and machine-readable."""

import base64
import io
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from fovea.training.evaluation import mistakes, plots, report
from fovea.training.evaluation.metrics import compute_metrics
from fovea.training.rendering import figures
from fovea.training.rendering import html as pages
from fovea.training.runs import directory as runs
from tests.html_page import Page


@pytest.fixture
def run(run_directory, tmp_path):
    return shutil.copytree(run_directory, tmp_path / "run")


def _evaluated(run, logits, labels, names, images, split="test"):
    """Evaluate a run and return its report."""
    result = compute_metrics(logits, labels, names)
    mistakes.save(run, split, result["mistakes"], images)
    metrics = runs.read_metrics(run)
    metrics[split] = result
    runs.write_json(run / "metrics.json", metrics)
    config = runs.read_config(run)
    config["class_names"] = list(names)
    runs.write_json(run / "config.json", config)
    return report.write(run).read_text(encoding="utf-8"), result


def _noise(classes, count, sureness=2.0):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), labels] += sureness
    return logits, labels, rng.integers(0, 256, (count, 9, 8, 3), np.uint8)


def test_a_page_is_self_contained(run):
    logits, labels, images = _noise(10, 300)
    html, _ = _evaluated(run, logits, labels, list("abcdefghij"), images)
    page = Page(html)
    assert not page.all("script") and not page.all("link")
    for _, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href") and value:
                assert value.startswith(("data:image/png;base64,", "#"))
    assert not re.search(r"url\((?!#)|@import|@font-face", html)
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    referred = set(re.findall(r'(?:href="|url\()#([^")]+)', html))
    referred |= {
        a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a
    }
    assert referred and referred <= set(identifiers)


def test_figures_are_described_in_words(run):
    logits, labels, images = _noise(10, 300)
    html, result = _evaluated(run, logits, labels, list("abcdefghij"), images)
    page = Page(html)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1 and "lenet5 on mnist_sample" in page.text
    drawings = page.all("svg")
    assert [drawing["role"] for drawing in drawings] == ["img"] * 5
    descriptions = " ".join(drawing["aria-label"] for drawing in drawings)
    assert "Accuracy over 4 epochs" in descriptions
    assert "Confusion matrix of 10" in descriptions
    assert f"calibration error is {result['calibration']['error']:.4f}" in descriptions
    pictures = page.all("img")
    assert len(pictures) == len(result["mistakes"]) == 24
    for picture, mistake in zip(pictures, result["mistakes"], strict=True):
        description = f"{mistake['true']}, taken for {mistake['predicted']}"
        assert picture["alt"].endswith(description)
        png = base64.b64decode(picture["src"].partition(",")[2])
        shown = np.asarray(Image.open(io.BytesIO(png)))
        assert np.array_equal(shown, images[mistake["index"]])
    assert f"{result['accuracy']:.2%}" in page.text
    for row in result["classes"]:
        assert f"{row['precision']:.4f}" in page.text
    assert "prefers-color-scheme: dark" in html


def test_drawings_are_valid_and_use_the_page_s_colours():
    logits, labels, _ = _noise(4, 100)
    result = compute_metrics(logits, labels, list("abcd"))
    history = [{"epoch": 0, "loss": 1.5, "val_loss": 1.4}, {"epoch": 1, "loss": 1.2}]
    style = (pages.TEMPLATES / "style.css").read_text()
    for drawing in (
        *plots.learning_curves(history),
        plots.confusion_matrix(result),
        plots.reliability_diagram(result),
    ):
        root = ElementTree.fromstring(drawing)
        assert root.tag.endswith("svg") and "height" not in root.attrib
        colours = set(re.findall(r"#[0-9a-f]{6}\b", drawing))
        assert colours <= {"#ffffff", "#000000"}  # of clipping and of nothing
        for variable in set(re.findall(r"var\((--\w+)\)", drawing)):
            # Once for light paper, once for dark.
            assert len(re.findall(rf"{variable}: #", style)) == 2
    assert set(figures.VARIABLES.values()) <= set(
        re.findall(r"var\(--\w+\)", style)
    ) | {f"var({name})" for name in re.findall(r"(--\w+): #", style)}


def test_the_matrix_has_every_count():
    logits, labels, _ = _noise(4, 100, sureness=1.0)
    result = compute_metrics(logits, labels, ["ant", "bee", "cat", "dog"])
    root = ElementTree.fromstring(plots.confusion_matrix(result))
    written = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("}text")]
    counts = [str(n) for row in result["confusion"] for n in row if n]
    for count in counts:
        written.remove(count)
    assert sorted(written) == sorted(
        [*["ant", "bee", "cat", "dog"] * 2, "true", "predicted"]
    )


def test_names_are_escaped(run):
    names = ["<script>alert(1)</script>", 'a "quoted" & odd one', "$x_1$ and \\alpha"]
    logits, labels, images = _noise(3, 60, sureness=0.5)
    html, _ = _evaluated(run, logits, labels, names, images)
    page = Page(html)
    assert not page.all("script")
    for name in names:
        assert page.text.count(name) > 3  # in tables, captions and the matrix


def test_a_run_that_was_not_evaluated_has_a_page(run):
    page = Page(report.write(run).read_text(encoding="utf-8"))
    assert f"fovea evaluate {run}" in page.text and "Held-out accuracy" in page.text
    assert not page.all("img") and len(page.all("svg")) == 3
    metrics = runs.read_metrics(run)
    assert f"{metrics['validation']['accuracy']:.2%}" in page.text
    assert f"{metrics['parameters']:,} parameters" in page.text


def test_a_run_without_a_complete_epoch_has_a_page(run):
    (run / "history.csv").unlink()
    (run / "metrics.json").unlink()
    page = Page(report.write(run).read_text(encoding="utf-8"))
    assert "Training has not ended." in page.text and not page.all("svg")


def test_the_page_shows_settings_machine_and_command(run):
    environment = json.loads((run / "environment.json").read_text())
    environment["command"] = ["/somewhere/fovea", "train", "lenet5", "--run", "a b"]
    runs.write_json(run / "environment.json", environment)
    page = Page(report.write(run).read_text(encoding="utf-8"))
    assert "fovea train lenet5 --run 'a b'" in page.text
    assert environment["platform"] in page.text and "tensorflow 2." in page.text
    config = runs.read_config(run)
    for key in config["recipe"]:
        assert key.replace("_", " ") in page.text


@pytest.mark.parametrize(
    "command, expected",
    [
        (["/bin/fovea", "train", "x"], "fovea train x"),
        (["/lib/fovea.py", "train", "x"], "fovea train x"),
        (["/lib/fovea/__main__.py", "train", "x"], "fovea train x"),
        (["my script.py", "--fast"], "python 'my script.py' --fast"),
    ],
)
def test_the_command_is_shown_as_it_is_typed(command, expected):
    assert report._command(command) == expected


def test_two_classes_without_a_mistake(run):
    logits, labels, images = _noise(2, 30, sureness=50)
    html, result = _evaluated(run, logits, labels, ["no", "yes"], images)
    page = Page(html)
    assert result["accuracy"] == 1 and "100.00%" in page.text
    assert "None: every prediction is correct." in page.text
    assert not page.all("img") and "Most confident mistakes" not in page.text


@pytest.mark.parametrize("classes, drawn", [(61, True), (201, False)])
def test_many_classes_are_drawn_without_names_or_not_at_all(classes, drawn):
    logits, labels, _ = _noise(classes, 3000)
    names = [f"class {label}" for label in range(classes)]
    matrix = plots.confusion_matrix(compute_metrics(logits, labels, names))
    assert (matrix is not None) == drawn
    if drawn:
        assert "class 7" not in matrix and len(matrix) < 1_000_000


@pytest.mark.slow
def test_a_new_evaluation_replaces_the_pictures_of_the_last(run):
    logits, labels, images = _noise(10, 300)
    names = list("abcdefghij")
    _evaluated(run, logits, labels, names, images)
    _evaluated(run, logits, labels, names, images, split="validation")
    few = slice(0, 10)
    _, result = _evaluated(run, logits[few], labels[few], names, images[few])
    left = sorted(path.name for path in (run / "mistakes/test").iterdir())
    assert left == [f"{place:02}.png" for place in range(len(result["mistakes"]))]
    assert len(list((run / "mistakes/validation").iterdir())) == 24


def test_the_style_does_not_affect_other_plots():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.learning_curves([{"epoch": 0, "loss": 1.0}])
    assert dict(matplotlib.rcParams) == before


def test_importing_the_report_does_not_load_matplotlib():
    import subprocess
    import sys

    code = (
        "import sys; from fovea.training.evaluation import evaluate, report;"
        "from fovea.training.rendering import image_grid;"
        "slow = {'matplotlib', 'jinja2', 'sklearn', 'tensorflow', 'keras'};"
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "" and done.returncode == 0
