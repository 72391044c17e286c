"""Type checks and coverage see every module, through the links in fovea/, and once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("models", "training", "serving")

pytestmark = pytest.mark.slow


def _mypy(*words):
    return subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_a_type_error_in_training_fails_the_check(tmp_path):
    source = ROOT / "fovea" / "training" / "loop" / "optimization" / "schedules.py"
    shadow = tmp_path / "shadow.py"
    shadow.write_text(source.read_text() + "\nwrong: int = 'a deliberate error'\n")
    seen = str(source.relative_to(ROOT))
    done = _mypy("--shadow-file", seen, str(shadow))
    assert done.returncode == 1
    assert f"{seen}:" in done.stdout and "Incompatible types" in done.stdout


def test_mypy_checks_what_is_shipped():
    found = _mypy("--verbose").stderr
    for name in ("fovea.models.registry", "fovea.training.loop.fit", "fovea.demo"):
        assert name in found
    for folder in FOLDERS:
        assert f"({folder}." not in found


def test_coverage_measures_the_linked_folders_once(tmp_path):
    code = (
        "from fovea.models import registry; from fovea.training.recipes import schema;"
        "from fovea.serving.client import errors"
    )
    data = f"--data-file={tmp_path / 'coverage'}"
    coverage = [sys.executable, "-m", "coverage"]
    (tmp_path / "imports.py").write_text(code)
    subprocess.run(
        [*coverage, "run", data, tmp_path / "imports.py"],
        cwd=ROOT,
        check=True,
        timeout=120,
    )
    report = tmp_path / "coverage.json"
    subprocess.run(
        [*coverage, "json", data, "--quiet", "-o", report],
        cwd=ROOT,
        check=True,
        timeout=120,
    )
    files = json.loads(report.read_text())["files"]
    for name in ("models/registry.py", "training/recipes/schema.py"):
        (seen,) = [each for each in files if each.endswith(name)]
        assert files[seen]["summary"]["covered_lines"] > 0
