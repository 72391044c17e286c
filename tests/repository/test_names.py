"""Under pytest every module of ours has one name."""

import importlib
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
        file = getattr(module, "__file__", None)
        if file and ROOT in Path(file).resolve().parents:
            names[Path(file).resolve()].add(name)
    assert len(names) > 10
    assert not {path: found for path, found in names.items() if len(found) > 1}
    assert not {"models", "training", "serving"} & set(sys.modules)
