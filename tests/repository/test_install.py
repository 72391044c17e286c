"""The wheel, installed next to a user's project with modules of the same names.

Everything of ours is below `fovea`; a user's serving/, models.py and training.py stay
theirs, whatever the working directory and however fovea is started.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TAKEN = ("models", "training", "serving")
SOURCES = ("fovea", *TAKEN, "pyproject.toml", "README.md", "LICENSE")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel built from a source distribution, as by `pip install`."""
    work = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, work / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, work / name)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, work]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An interpreter with the wheel, and with this one's packages other than fovea."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    interpreter = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-deps"]
    subprocess.run(
        [*pip, "--no-index", "--quiet", "--disable-pip-version-check", wheel],
        check=True,
        timeout=120,
    )
    # Python does not follow .pth files in a directory that is on the path by a .pth
    # file itself, so that an editable fovea is not found there.
    (packages,) = home.glob("lib/python*/site-packages")
    others = sysconfig.get_path("purelib")
    (packages / "dependencies.pth").write_text(f"{others}\n")
    return interpreter


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A user's project."""
    directory = tmp_path_factory.mktemp("project")
    (directory / "serving").mkdir()
    (directory / "serving" / "__init__.py").write_text("OWNER = 'user'\n")
    for name in ("models", "training"):
        (directory / f"{name}.py").write_text("OWNER = 'user'\n")
    return directory


def _run(project, *command, **more):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        **more,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_user_s_modules_of_the_same_names_are_imported(python, project):
    code = """
import json, sys
import models, serving, training
assert {module.OWNER for module in (models, serving, training)} == {"user"}
import fovea
from fovea import AsyncClient, Client, ModelConfig
Client("127.0.0.1:1").close()
from fovea.models import registry
from fovea.serving.web import app
print(json.dumps([fovea.__file__, *{m.__file__ for m in (models, serving, training)}]))
"""
    ours, *theirs = json.loads(_run(project, python, "-c", code))
    assert str(python.parents[1]) in ours
    assert all(Path(each).is_relative_to(project) for each in theirs)


@pytest.mark.parametrize("start", ["script", "module"])
def test_the_command_does_not_import_them(python, project, start):
    code = f"""
import runpy, sys
sys.argv = ["fovea", "describe", "lenet5", "--input", "28x28x1", "--json"]
sys.path.insert(0, {str(project)!r})
try:
    if {start!r} == "script":
        from fovea.cli import main
        sys.exit(main())
    runpy.run_module("fovea", run_name="__main__", alter_sys=True)
except SystemExit as ended:
    assert not ended.code, ended.code
taken = [name for name in {TAKEN!r} if name in sys.modules]
assert not taken, taken
"""
    described = json.loads(_run(project, python, "-c", code))
    assert described["name"] == "lenet5"


def test_the_console_script_works(python, project):
    script = python.with_name("fovea")
    assert _run(project, script, "--version").startswith("fovea 0.")


def test_the_wheel_has_every_file_once(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "fovea",
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    tracked = subprocess.run(
        ["git", "ls-files", "--", *SOURCES[:4]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    wanted = set()
    for name in filter(None, tracked):
        if (ROOT / name).is_symlink() or name.endswith(".md"):
            continue
        wanted.add(name if name.startswith("fovea/") else f"fovea/{name}")
    assert wanted <= set(names), sorted(wanted - set(names))
