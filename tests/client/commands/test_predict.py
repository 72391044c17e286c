"""`fovea predict`: its standard output, standard error and exit code."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fovea import cli

ROOT = Path(__file__).parents[3]


@pytest.fixture
def predict(server, capsys):
    """predict(*arguments) -> (exit code, stdout, stderr)."""

    def run(*arguments, to=server.target, model="mnist"):
        options = ["--server", to, "--model", model]
        code = cli.main(["predict", *map(str, arguments), *options])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def files(shade, tmp_path):
    paths = [tmp_path / "one.png", tmp_path / "seventeen.jpg"]
    shade(1).save(paths[0])
    shade(7, "RGB", (40, 30)).save(paths[1])
    return paths


def test_a_line_for_each_file(predict, files):
    code, out, err = predict(*files)
    width = len(str(files[1]))
    assert code == 0
    assert err == ""
    assert out.splitlines() == [
        f"{str(files[0]).ljust(width)}  shade-1  0.9100",
        f"{files[1]}  shade-7  0.9100",
    ]


def test_top(predict, files):
    code, out, _ = predict(files[0], "--top", 3)
    assert code == 0
    assert out.split()[1:] == [
        "shade-1",
        "0.9100",
        "shade-0",
        "0.0100",
        "shade-2",
        "0.0100",
    ]


def test_version_and_label(predict, files):
    for option in (["--version", 1], ["--label", "stable"]):
        _, out, _ = predict(files[0], *option, "--json")
        assert json.loads(out)[0]["model_version"] == 1


def test_json(predict, files, tmp_path):
    code, out, err = predict(files[0], tmp_path / "missing.png", "--json", "--top", 2)
    good, bad = json.loads(out)
    assert good["file"] == str(files[0])
    assert (good["label"], good["class_id"], good["model_version"]) == ("shade-1", 1, 2)
    assert good["probability"] == pytest.approx(0.91)
    assert [score["label"] for score in good["top"]] == ["shade-1", "shade-0"]
    assert bad == {
        "file": str(tmp_path / "missing.png"),
        "error": f"{tmp_path / 'missing.png'} does not exist.",
    }
    assert code == 1
    assert err == f"fovea: error: {bad['error']}\n"


def test_one_json_object_per_line(predict, files, tmp_path):
    code, out, _ = predict(tmp_path / "missing.png", *files, "--jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [each.get("label") for each in rows] == [None, "shade-1", "shade-7"]
    assert rows[0]["error"].endswith("does not exist.")


def test_json_without_images_is_an_empty_list(predict, tmp_path):
    (tmp_path / "list").touch()
    assert predict("--json", "--files-from", tmp_path / "list") == (0, "[]\n", "")


def test_csv(predict, files, tmp_path):
    odd = files[0].with_name('a, "b".png')
    files[0].rename(odd)
    code, out, _ = predict(odd, tmp_path / "missing.png", "--csv", "--top", 2)
    assert code == 1
    (row,) = csv.DictReader(io.StringIO(out))
    assert row == {
        "file": str(odd),
        "model_version": "2",
        "label": "shade-1",
        "class_id": "1",
        "probability": "0.91",
        "label_2": "shade-0",
        "class_id_2": "0",
        "probability_2": "0.01",
    }


def test_bad_files_do_not_prevent_predictions_for_the_others(predict, files, tmp_path):
    empty, text, cut = (tmp_path / name for name in ("empty.png", "a.txt", "cut.png"))
    empty.touch()
    text.write_text("hello")
    cut.write_bytes(files[0].read_bytes()[:-20])
    folder, pattern = tmp_path / "folder", tmp_path / "*.webp"
    folder.mkdir()
    code, out, err = predict(empty, files[0], text, cut, files[1], folder, pattern)
    assert code == 1
    assert [line.split()[1] for line in out.splitlines()] == ["shade-1", "shade-7"]
    assert [line.split(maxsplit=3)[2:] for line in err.splitlines()] == [
        [str(empty), "is empty (0 bytes)."],
        [str(text), "is not an image that Pillow can read."],
        [str(cut), "is truncated: the end of the file is missing."],
        [str(folder), "is a folder without image files."],
        [str(pattern), "matches no file."],
    ]


def test_failures_with_one_cause_are_reported_in_one_line(predict, shade, tmp_path):
    for n in range(3):
        shade(n).save(tmp_path / f"{n}.png")
    code, out, err = predict(tmp_path, "--timeout", 0.2, model="slow")
    assert (code, out) == (1, "")
    assert err.startswith(
        f"fovea: error: 3 images, {tmp_path / '0.png'} to {tmp_path / '2.png'}: "
        "The server at "
    )
    assert len(err.splitlines()) == 1


def labels(out):
    return [line.split()[1] for line in out.splitlines()]


@pytest.fixture
def folder(shade, tmp_path):
    """Images 3, 4 and 5 on two levels, a hidden image and a text file."""
    for n, name in ((3, "a.png"), (4, "b/c.JPG"), (5, "d.bmp"), (6, ".e.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shade(n).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_folders_are_searched_recursively(predict, folder):
    code, out, err = predict(folder)
    assert (code, err) == (0, "")
    assert labels(out) == ["shade-3", "shade-5", "shade-4"]


def test_patterns(predict, folder):
    code, out, _ = predict(folder / "**" / "*.JPG", folder / "[ab].png")
    assert code == 0
    assert labels(out) == ["shade-4", "shade-3"]


def test_a_file_whose_name_looks_like_a_pattern(predict, shade, tmp_path):
    shade(2).save(tmp_path / "[x].png")
    assert labels(predict(tmp_path / "[x].png")[1]) == ["shade-2"]


def stdin(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_one_image_on_standard_input(predict, shade, save, monkeypatch):
    stdin(monkeypatch, save(shade(8), "PNG"))
    assert predict("-")[:2] == (0, "-  shade-8  0.9100\n")
    stdin(monkeypatch, b"no image")
    code, out, err = predict("-")
    assert (code, out) == (1, "")
    assert err == ("fovea: error: - (8 bytes) is not an image that Pillow can read.\n")


def test_lists_of_files(predict, files, tmp_path, monkeypatch):
    names = "".join(f"{path}\n" for path in files)
    stdin(monkeypatch, names.encode())
    assert labels(predict("--files-from", "-")[1]) == ["shade-1", "shade-7"]
    (tmp_path / "list").write_text(f"\n{names}")
    code, out, _ = predict(files[1], "--files-from", tmp_path / "list")
    assert labels(out) == ["shade-7", "shade-1", "shade-7"]
    code, out, err = predict("--files-from", tmp_path / "none")
    assert (code, out) == (1, "")
    assert err == (
        f"fovea: error: {tmp_path / 'none'} cannot be used: No such file or directory\n"
    )


@pytest.mark.parametrize("shape", [(3, 20, 20), (3, 28, 28, 1), (3, 8, 9, 3)])
def test_the_images_of_an_array(predict, shape, tmp_path):
    path = tmp_path / "some.npy"
    np.save(path, np.stack([np.full(shape[1:], n * 28, np.uint8) for n in range(3)]))
    code, out, err = predict(path)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{path}[{n}]  shade-{n}  0.9100" for n in range(3)]


def test_an_array_that_is_one_image(predict, tmp_path):
    np.save(tmp_path / "one.npy", np.full((20, 30, 3), 255, np.uint8))
    assert labels(predict(tmp_path / "one.npy")[1]) == ["shade-9"]


def test_arrays_by_name(predict, tmp_path):
    path = tmp_path / "set.npz"
    x = np.zeros((2, 20, 20), np.uint8)
    np.savez(path, x=x, y=np.arange(2))
    assert labels(predict(path, "--array", "x")[1]) == ["shade-0"] * 2
    for options, message in (
        ([], f"{path} has the arrays x, y; --array chooses one. Received: no --array"),
        (["--array", "z"], "--array chooses one. Received: z"),
        (["--array", "y"], "Received: dtype=int64, shape=[2]"),
    ):
        code, out, err = predict(path, *options)
        assert (code, out) == (1, "")
        assert err.startswith(f"fovea: error: {path}") and err.endswith(f"{message}\n")


def test_files_that_cannot_be_read_as_arrays(predict, files, tmp_path):
    bad, cut = tmp_path / "bad.npz", tmp_path / "cut.npy"
    bad.write_bytes(b"PK nothing")
    np.save(cut, np.zeros((100, 28, 28), np.uint8))
    cut.write_bytes(cut.read_bytes()[:1000])
    code, out, err = predict(bad, cut, tmp_path / "none.npy", files[0])
    assert (code, labels(out)) == (1, ["shade-1"])
    errors = err.splitlines()
    assert errors[0].startswith(f"fovea: error: {bad} cannot be read as arrays: ")
    assert errors[1].startswith(f"fovea: error: {cut} cannot be read as arrays: ")
    assert errors[2:] == [f"fovea: error: {tmp_path / 'none.npy'} does not exist."]


def test_an_image_of_an_array_that_the_model_rejects(predict, tmp_path):
    path = tmp_path / "unlucky.npy"
    np.save(path, np.zeros((2, 13, 20), np.uint8))
    code, out, err = predict(path)
    assert (code, out) == (1, "")
    assert [line.split()[2] for line in err.splitlines()] == [
        f"{path}[0]:",
        f"{path}[1]:",
    ]


def test_an_image_that_only_the_model_rejects(predict, files, shade, tmp_path):
    unlucky = tmp_path / "unlucky.png"
    shade(3, size=(20, 13)).save(unlucky)
    code, out, err = predict(files[0], unlucky, files[1])
    assert code == 1
    assert [line.split()[1] for line in out.splitlines()] == ["shade-1", "shade-7"]
    assert len(err.splitlines()) == 1
    assert err.startswith(f"fovea: error: {unlucky}: ")
    assert "13 rows bring bad luck" in err


def test_many_files(predict, shade, tmp_path):
    for n in range(150):
        shade(n % 10).save(tmp_path / f"{n:03}.png")
    code, out, _ = predict(tmp_path)
    assert code == 0
    assert labels(out) == [f"shade-{n % 10}" for n in range(150)]


def test_predictions_are_printed_while_others_are_pending(server, shade, tmp_path):
    """More images than are read ahead; the last is named after the first result."""
    for n in range(400):
        shade(n % 10).save(tmp_path / f"{n:03}.png")
    command = [sys.executable, "-m", "fovea", "predict", "--files-from", "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, "--model=mnist", f"--server={server.target}"],
        cwd=ROOT,
        stdin=pipe,
        stdout=pipe,
        text=True,
    ) as process:
        for n in range(399):
            print(tmp_path / f"{n:03}.png", file=process.stdin, flush=True)
        first = process.stdout.readline()
        print(tmp_path / "399.png", file=process.stdin)
        process.stdin.close()
        rest = process.stdout.read()
    assert process.returncode == 0
    assert labels(first + rest) == [f"shade-{n % 10}" for n in range(400)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"to": "127.0.0.1:1"},
            "No server responds at 127.0.0.1:1 (",
        ),
        ({"to": "localhost"}, "The server's address is HOST:PORT"),
        ({"model": "mnsit"}, "has no model 'mnsit' that is ready"),
        ({"model": "plain"}, "Model 'plain'"),
    ],
)
def test_an_error_about_all_files_is_reported_once(predict, files, options, sentence):
    code, out, err = predict(*files, **options)
    assert code == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("fovea: error: ")
    assert sentence in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.png", "--json", "--csv"],
        ["a.png", "--top", "0"],
        ["a.png", "--timeout", "0"],
        ["a.png", "--timeout", "soon"],
        ["a.png", "--version", "1", "--label", "stable"],
    ],
)
def test_usage_errors(predict, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        predict(*arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name at least one image"),
        (["-", "-"], "Standard input can be read once"),
        (["-", "--files-from", "-"], "Standard input can be read once"),
        (["a.png", "--token", "secret"], "connections with TLS"),
        (["a.png", "--cert", "x.pem"], "given together. Received: --cert alone"),
    ],
)
def test_contradictions(predict, arguments, message):
    code, out, err = predict(*arguments)
    assert (code, out) == (1, "")
    assert message in err and "secret" not in err
