"""`fovea predict` as a user sees it: what it prints where, and its exit code."""

import json

import pytest

import fovea


@pytest.fixture
def predict(server, capsys):
    """predict(*arguments) -> (exit code, stdout, stderr)."""

    def run(*arguments, to=server.target, model="mnist"):
        options = ["--server", to, "--model", model]
        code = fovea.main(["predict", *map(str, arguments), *options])
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


def test_bad_files_do_not_keep_the_others_from_an_answer(predict, files, tmp_path):
    empty, text, cut = (tmp_path / name for name in ("empty.png", "a.txt", "cut.png"))
    empty.touch()
    text.write_text("hello")
    cut.write_bytes(files[0].read_bytes()[:-20])
    code, out, err = predict(empty, files[0], text, cut, files[1], tmp_path)
    assert code == 1
    assert [line.split()[1] for line in out.splitlines()] == ["shade-1", "shade-7"]
    assert [line.split(maxsplit=3)[2:] for line in err.splitlines()] == [
        [str(empty), "is empty (0 bytes)."],
        [str(text), "is not an image that Pillow can read."],
        [str(cut), "is truncated: the end of the file is missing."],
        [str(tmp_path), "is a directory; name the image files inside it."],
    ]


def test_an_image_that_only_the_model_refuses(predict, files, shade, tmp_path):
    unlucky = tmp_path / "unlucky.png"
    shade(3, size=(20, 13)).save(unlucky)
    code, out, err = predict(files[0], unlucky, files[1])
    assert code == 1
    assert [line.split()[1] for line in out.splitlines()] == ["shade-1", "shade-7"]
    assert len(err.splitlines()) == 1
    assert err.startswith(f"fovea: error: {unlucky}: ")
    assert "13 rows bring bad luck" in err


def test_many_files(predict, shade, tmp_path):
    paths = [tmp_path / f"{n:03}.png" for n in range(150)]
    for n, path in enumerate(paths):
        shade(n % 10).save(path)
    code, out, _ = predict(*paths)
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == [
        f"shade-{n % 10}" for n in range(150)
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"to": "127.0.0.1:1"},
            "No server answers at 127.0.0.1:1 (",
        ),
        ({"to": "localhost"}, "The server's address is HOST:PORT"),
        ({"model": "mnsit"}, "has no model 'mnsit' that is ready"),
        ({"model": "plain"}, "Model 'plain'"),
    ],
)
def test_what_concerns_all_files_is_said_once(predict, files, options, sentence):
    code, out, err = predict(*files, **options)
    assert code == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("fovea: error: ")
    assert sentence in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
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
