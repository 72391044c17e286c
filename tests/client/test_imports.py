"""The modules that importing and using the client loads."""

import subprocess
import sys

import pytest

HEAVY = {"tensorflow", "keras", "tensorflow_serving", "fovea.models", "fovea.training"}
# What a user's own packages may be called.
TAKEN = {"models", "training", "serving"}
EVERYTHING = """
from fovea import *
from fovea.serving.client.commands import load, predict
from fovea.serving.client.loadtest import generator
from fovea.serving.protocol import tensors
"""


def modules_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("code", ["import fovea", EVERYTHING])
def test_nothing_heavy_is_imported(code):
    loaded = modules_after(code)
    assert loaded.isdisjoint(HEAVY)
    assert loaded.isdisjoint(TAKEN)


def test_importing_the_package_costs_nothing():
    loaded = modules_after("import fovea")
    assert loaded.isdisjoint({"grpc", "google", "numpy", "PIL"})
    assert {name for name in loaded if name.startswith("fovea")} == {"fovea"}


def test_every_public_name_is_found():
    import fovea

    for name in fovea.__all__:
        assert getattr(fovea, name).__name__ == name


def test_predicting_files_needs_no_numpy(server, shade, tmp_path):
    path = tmp_path / "a.png"
    shade(3).save(path)
    code = (
        "from fovea import Client\n"
        f"with Client({server.target!r}) as client:\n"
        f"    client.predict([{str(path)!r}], model='mnist')\n"
    )
    assert "numpy" not in modules_after(code)


def test_the_command_needs_no_numpy_either(server, shade, tmp_path):
    path = tmp_path / "a.png"
    shade(3).save(path)
    words = ["predict", str(path), "--model=mnist", f"--server={server.target}"]
    loaded = modules_after(f"from fovea import cli; assert cli.main({words!r}) == 0")
    assert loaded.isdisjoint({"numpy", "rich", "csv", "matplotlib"})


def test_unknown_name_is_an_attribute_error():
    import fovea

    with pytest.raises(AttributeError, match="no attribute 'Clent'"):
        _ = fovea.Clent
