"""Under pytest every module of ours has one name."""

import importlib
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / name for name in ("fovea", "models", "training", "serving")]


def test_no_module_is_loaded_under_a_second_name():
    for name in (
        "fovea.cli",
        "fovea.models.registry",
        "fovea.serving.client.client",
        "fovea.training.recipes.files",
    ):
        importlib.import_module(name)
    names = defaultdict(set)
    for name, module in list(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "/").resolve()
        if any(path.is_relative_to(folder) for folder in FOLDERS):
            names[path].add(name)
    assert len(names) > 10
    assert not {path: found for path, found in names.items() if len(found) > 1}
    assert not {"models", "training", "serving"} & set(sys.modules)
