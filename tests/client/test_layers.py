"""The client's modules import only what lies below them."""

import ast
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "serving" / "client"
PACKAGE = "fovea.serving.client"
# From the bottom to the top. A module imports its own layer and those below.
LAYERS = [
    {"errors", "results", "model_config"},
    {"images", "named_image"},
    {"image_sources", "transport"},
    {"calls"},
    {"client", "aio"},
    {"heatmaps", "loadtest"},
    {"commands"},
]
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in CLIENT.rglob("*.py") if path.name != "__init__.py")


def imported(path):
    """The modules of fovea that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("fovea"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            yield from (name for name in names if name.startswith("fovea"))


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(CLIENT))
)
def test_imports_run_one_way(path):
    level = LEVELS[path.relative_to(CLIENT).parts[0].removesuffix(".py")]
    for name in imported(path):
        if name.startswith("fovea.serving.protocol"):
            continue
        assert name.startswith(f"{PACKAGE}."), name
        assert LEVELS[name.removeprefix(f"{PACKAGE}.").split(".")[0]] <= level, name
