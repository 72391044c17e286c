"""Dependencies point one way: between packages, and inside each of them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Folder of a package -> the other packages that it may import.
PACKAGES = {
    "models": [],
    "training": ["models", "serving/protocol"],
    "serving/protocol": [],
    "serving/client": ["serving/protocol"],
    "serving/server": ["serving/protocol"],
    "serving/web": ["serving/client"],
    "fovea": ["models", "training", "serving/client", "serving/server", "serving/web"],
}
# The tables of all commands; only folders named `commands` may import them.
TERMINAL = "fovea.terminal"
# The modules and folders directly in a package, from the bottom layer to the top: each
# imports its own layer and those below.
LAYERS = {
    "models": [
        {"validation", "parse_options", "backend"},
        {"style", "layers", "augmentation", "anatomy"},
        {"blocks", "stem"},
        {"zoo"},
        {"registry"},
        {"commands"},
    ],
    "training": [
        {"recipes", "rendering", "runs"},
        {"attribution", "datasets"},
        {"evaluation"},
        {"exporting", "inspect", "loop"},
        {"commands"},
    ],
    "serving/client": [
        {"errors", "results", "model_config"},
        {"images", "named_image"},
        {"image_sources", "transport"},
        {"calls"},
        {"client", "aio"},
        {"heatmaps", "loadtest"},
        {"commands"},
    ],
    "serving/server": [
        {"cpus", "errors", "flag_table", "native_stderr", "signals", "text_proto"},
        {"admission", "flags", "port", "telemetry"},
        {"saved_model"},
        {"batching", "inference", "lifecycle"},
        {"rest", "rpc", "warmup"},
        {"server"},
        {"main"},
        {"__main__"},
    ],
}


def _modules() -> dict[str, Path]:
    """Return our modules by name, each once: links in fovea/ are not followed."""
    found = {}
    for package in PACKAGES:
        glob = "*.py" if package == "fovea" else "**/*.py"
        for path in sorted((ROOT / package).glob(glob)):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            found[name if package == "fovea" else f"fovea.{name}"] = path
    return found


MODULES = _modules()


def _imports(path: Path) -> set[str]:
    """Return our modules that a module imports, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    tops = {name.partition(".")[0] for name in found}
    assert tops.isdisjoint({"models", "training", "serving"}), path
    return {name for name in found if name in MODULES}


IMPORTS = {name: _imports(path) for name, path in MODULES.items()}


def _package(module: str) -> str:
    relative = MODULES[module].relative_to(ROOT).as_posix()
    return next(each for each in PACKAGES if relative.startswith(f"{each}/"))


def _entry(module: str) -> str:
    """Return the module or folder directly in the package that contains the module."""
    path = MODULES[module].relative_to(ROOT / _package(module))
    return path.parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", MODULES)
def test_packages_import_only_allowed_packages(module):
    package = _package(module)
    for imported in IMPORTS[module]:
        if imported == TERMINAL and "/commands/" in MODULES[module].as_posix():
            continue
        if imported == "fovea" and package in ("fovea", "serving/web"):
            continue
        allowed = (package, *PACKAGES[package])
        assert _package(imported) in allowed, f"{module} imports {imported}"


@pytest.mark.parametrize("package", LAYERS)
def test_imports_inside_a_package_run_downwards(package):
    level = {name: n for n, names in enumerate(LAYERS[package]) for name in names}
    inside = [name for name in MODULES if _package(name) == package]
    assert {_entry(name) for name in inside} - {"__init__"} == set(level)
    wrong = [
        f"{module} imports {imported}"
        for module in inside
        if _entry(module) != "__init__"
        for imported in IMPORTS[module]
        if _package(imported) == package and _entry(imported) != "__init__"
        if level[_entry(imported)] > level[_entry(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_there_are_no_import_cycles():
    done, path = set(), []

    def visit(module):
        if module in path:
            raise AssertionError(" -> ".join([*path[path.index(module) :], module]))
        if module in done:
            return
        path.append(module)
        for imported in IMPORTS[module]:
            visit(imported)
        path.pop()
        done.add(module)

    for module in MODULES:
        visit(module)
