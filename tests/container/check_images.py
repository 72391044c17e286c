"""The images' configuration and contents, and that they run confined."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.container.machine import PATH, Machine, serving

# What --read-only, --cap-drop ALL and no-new-privileges do, in a separate name space:
# the server is process 1, and only /dev/shm is writable.
CONFINED = """
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot "$0" setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs \
    --inh-caps=-all --bounding-set=-all env --ignore-environment "$@"
"""


@pytest.fixture(scope="module", params=["fovea-embedded", "fovea"])
def image(request: pytest.FixtureRequest, machine: Machine, bases: None) -> str:
    if request.param == "fovea":
        machine.run("docker build --tag fovea .")
    return str(request.param)


@pytest.fixture(scope="module")
def root(machine: Machine, image: str) -> Iterator[Path]:
    """The files of an image."""
    container = machine.buildah("from", "--pull-never", image)
    yield Path(machine.buildah("mount", container))
    machine.buildah("rm", container)


def test_the_configuration_of_an_image(machine, image):
    config = machine.config(image)
    assert config["User"] == "65532:65532"
    assert set(config["ExposedPorts"]) == {"8500/tcp", "8501/tcp"}
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "grpc-health", "8500"]
    assert not config["Cmd"]
    assert config["Labels"]["org.opencontainers.image.title"] == image
    assert not [one for one in config["Env"] if "PIP" in one or "CERT" in one]


def test_the_models_are_readable_and_not_writable_for_every_user(root):
    assert 'name: "digits"' in (root / "models/models.config").read_text()
    for path in [root / "models", *(root / "models").rglob("*")]:
        mode = path.stat().st_mode & 0o777
        assert mode & 0o044 == 0o044 and not mode & 0o022, (path, oct(mode))


def test_no_build_tools_and_no_files_of_this_machine(root):
    for tool in ("cc", "gcc", "g++", "make", "ld", "git"):
        assert not (root / "usr/bin" / tool).exists()
    assert not (root / "opt/fovea/bin/pip").exists()
    assert not (root / "src").exists()
    assert not (root / "etc/pip.conf").exists()


def test_every_module_of_ours_is_below_fovea(root):
    """Links to folders that the build stage alone had would leave nothing to import."""
    packages = next(root.glob("opt/fovea/lib/python3.*/site-packages"), None)
    if packages is None:
        return  # the image on tensorflow/serving has no Python
    for name in ("models", "training", "serving"):
        assert not (packages / name).exists() and not (packages / f"{name}.py").exists()
        assert (packages / "fovea" / name / "__init__.py").is_file()
        assert not (packages / "fovea" / name).is_symlink()


def test_the_size_of_the_embedded_server(root):
    """The size that the image adds to its base; README.md states it."""
    done = subprocess.run(
        ["du", "--summarize", "--block-size=1MB", root / "opt/fovea"],
        capture_output=True,
        text=True,
        check=True,
    )
    megabytes = int(done.stdout.split()[0])
    print(f"/opt/fovea: {megabytes} MB")
    assert megabytes < 1400


def test_a_server_without_write_access_and_capabilities(machine, root, image, tmp_path):
    config = machine.config(image)
    path = next((one for one in config["Env"] if one.startswith("PATH=")), PATH)
    variables = [*config["Env"], path]
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]
    shell = [*isolated, "sh", "-euc", CONFINED, str(root), *variables]

    done = subprocess.run(
        [*shell, "sh", "-c", "id -u; touch /models/x /tmp/x"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "65532\n"
    assert done.stderr.count("Read-only file system") == 2

    with serving([*shell, *config["Entrypoint"]], tmp_path / "log") as server:
        status = Path(f"/proc/{server}/status").read_text()
        assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.M)
        # The check's dependencies are present in the image, too.
        check = config["Healthcheck"]["Test"][1:]
        subprocess.run(["chroot", root, "env", *variables, *check], check=True)
        url = "http://127.0.0.1:8501/v1/models/digits/labels/stable"
        with urlopen(url, timeout=30) as response:
            assert b"AVAILABLE" in response.read()
