"""Imports inside `models` point one way, from the commands down to the leaves."""

import ast
from pathlib import Path

import pytest

from fovea import models

ROOT = Path(models.__file__).resolve().parent
# A folder or module may import those of the rows above its own.
ROWS = (
    {"validation", "parse_options", "backend"},
    {"style", "layers", "augmentation", "anatomy"},
    {"blocks", "stem"},
    {"zoo"},
    {"registry"},
    {"commands"},
)
ROW = {name: number for number, names in enumerate(ROWS) for name in names}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def imported(path):
    """Return the names after `fovea.models` that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[:2] == ["fovea", "models"]:
                names = [each.name for each in node.names]
                found.update(parts[2:3] or names)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_the_rows_above_its_own(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imported(path) - {own}:
        assert ROW[name] < ROW[own], f"{own} imports {name}"


def test_every_module_has_a_row():
    assert {
        path.relative_to(ROOT).parts[0].removesuffix(".py") for path in MODULES
    } == (set(ROW))
