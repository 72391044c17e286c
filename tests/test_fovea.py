"""The command line: help, suggestions, errors and exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest

from fovea import cli

ROOT = Path(__file__).parents[1]


def test_help_names_every_command(capsys):
    assert cli.main([]) == 0
    text = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert f"  {command} " in text


@pytest.mark.parametrize("command", sorted(set(cli.COMMANDS) - cli.OWN_SYNTAX))
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main([command, "--help"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: fovea {command}")


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("fovea 0.")


@pytest.mark.parametrize(
    ("words", "exit_code", "message"),
    [
        (["trian"], 2, "did you mean train?"),
        (["train", "lenet", "--dataset", "mnist"], 1, "did you mean lenet5?"),
        (["train", "lenet5", "--dataset", "mnits"], 1, "did you mean mnist?"),
        (["train", "lenet5", "--dataset", "mnist", "--set", "x"], 1, "option=value"),
        (["evaluate", "nowhere"], 1, "Received: run=nowhere"),
        (["export", "nowhere", "--to", "out"], 1, "Received: run=nowhere"),
        (["predict", "nowhere.png", "--model", "m"], 1, "nowhere.png"),
        (["describe", "lenet"], 1, "did you mean lenet5?"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(words, exit_code, message, capsys):
    assert cli.main(words) == exit_code
    error = capsys.readouterr().err
    assert error.startswith("fovea: error: ") and error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize("words", [["train"], ["predict"], ["export", "run"]])
def test_missing_arguments_are_reported_by_argparse(words, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(words)
    assert leaving.value.code == 2
    assert "required" in capsys.readouterr().err


def test_debug_prints_the_traceback(capsys):
    assert cli.main(["evaluate", "nowhere", "--debug"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error and "FileNotFoundError" in error
    assert error.splitlines()[-1].startswith("fovea: error: ")


def test_a_missing_package_names_its_extra():
    script = (
        "import sys; sys.modules['keras'] = None; from fovea import cli;"
        "sys.exit(cli.main(['train', 'lenet5', '--dataset', 'mnist']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr.endswith(
        "fovea: error: this command needs the package keras, which is not installed; "
        "pip install 'fovea[train]'\n"
    )


def test_python_m_fovea_is_fovea():
    done = subprocess.run(
        [sys.executable, "-m", "fovea", "train", "lenet", "--dataset", "mnist"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "did you mean lenet5?" in done.stderr


def test_an_unknown_option_is_rejected_before_anything_is_written(
    data_dir, tmp_path, capsys
):
    run = tmp_path / "run"
    words = ["train", "lenet5", "--dataset", "mnist", "--data-dir", str(data_dir)]
    assert cli.main([*words, "--set", "activaton=relu", "--run", str(run)]) == 1
    assert "did you mean activation?" in capsys.readouterr().err
    assert not run.exists()


def test_the_error_names_a_target_that_cannot_be_written(data_dir, tmp_path, capsys):
    (tmp_path / "file").touch()
    run = tmp_path / "file" / "run"
    words = ["train", "lenet5", "--dataset", "mnist", "--data-dir", str(data_dir)]
    assert cli.main([*words, "--run", str(run)]) == 1
    error = capsys.readouterr().err
    assert error == f"fovea: error: {run} cannot be used: Not a directory\n"


@pytest.mark.slow
def test_a_closed_standard_output_is_not_an_error():
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m fovea models --json | head -c 1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.stdout, done.stderr) == ("[", "")
