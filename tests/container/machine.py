"""A substitute for a registry: base images built from Debian's packages.

python:*-slim is Debian with its Python, as the real one is Debian with one. The bases
tensorflow/serving and tensorflow/tensorflow are the image `embedded` without what the
Dockerfile puts into it; `tensorflow_model_server` is fovea's own server there, which
takes the same flags and files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HEALTH = ROOT / "deploy" / "docker" / "grpc-health"
START_SECONDS = 120
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Program -> the package of Debian's that has it.
TOOLS = {
    "apt-get": "apt",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
    "unshare": "util-linux",
}
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"


def what_is_missing() -> str:
    """Return why this machine cannot build images; "" if it can."""
    if os.geteuid() != 0:
        return "it must run as root: a base is unpacked, and images are mounted"
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing:
        return f"install Debian's packages {' and '.join(missing)}"
    for port in (8500, 8501):
        if is_open(port):
            return f"port {port} must be free: the guide's commands publish it"
    return ""


def is_open(port: int) -> bool:
    """Return whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_healthy() -> bool:
    """Return whether the images' health check succeeds on port 8500."""
    return subprocess.run([HEALTH, "8500"], capture_output=True).returncode == 0


@contextlib.contextmanager
def serving(
    command: list[str], log: Path, ready: Callable[[], bool] = is_healthy, **more: Any
) -> Iterator[int]:
    """Run a command that starts a server; wait for it, and stop it like a container.

    Args:
        command: The command.
        log: File for its output.
        ready: Returns whether the server is ready.
        **more: Arguments of subprocess.Popen.

    Yields:
        The server's process, which is below those of whatever isolates it.
    """
    assert not is_open(8500), "another server has been left behind"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, **more)
    try:
        end = time.monotonic() + START_SECONDS
        while not ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.5)
        yield innermost(process.pid)
        os.kill(innermost(process.pid), signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.kill(innermost(process.pid), signal.SIGKILL)
            process.wait(60)


def innermost(process: int) -> int:
    """Follow the last child of each process and return the end of that chain."""
    threads = Path(f"/proc/{process}/task").glob("*/children")
    children = " ".join(thread.read_text() for thread in threads).split()
    return innermost(int(children[-1])) if children else process


def base_image(stage: str) -> str:
    """Return the base image of a Dockerfile's stage, with its default arguments."""
    text = (ROOT / "Dockerfile").read_text()
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.M))
    found = re.search(rf"^FROM (\S+) AS {stage}$", text, re.M)
    assert found, f"no stage {stage}"
    return re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], found[1])


@dataclass
class Machine:
    """A separate storage for images.

    Attributes:
        work: Its directory, which takes about 15 GB.
        checkout: The project as a clone has it, where commands are run.
        environment: Variables that select `docker`, buildah's storage and pip's index.
    """

    work: Path

    def __post_init__(self) -> None:
        self.checkout = self.work / "fovea"
        volumes = [f"{self._pip_conf()}:/etc/pip.conf:ro"]
        if certificates := _pip_options().get("cert"):
            volumes.append(f"{certificates}:{certificates}:ro")
        self.environment = {
            **os.environ,
            "CONTAINER_TEST_STORAGE": str(self.work / "storage"),
            "CONTAINER_TEST_VOLUMES": " ".join(volumes),
            "PYTHONPATH": str(self.checkout),
            "PATH": f"{Path(__file__).parent}:{Path(sys.executable).parent}:"
            f"{os.environ['PATH']}",
        }

    def _pip_conf(self) -> Path:
        """Return pip's configuration for builds; it is not copied into any image."""
        self.work.mkdir(parents=True, exist_ok=True)
        file = self.work / "pip.conf"
        lines = [f"{key} = {value}\n" for key, value in _pip_options().items()]
        file.write_text("".join(["[global]\n", *lines]))
        return file

    def buildah(self, *arguments: object) -> str:
        """Run buildah on this machine's images and return what it prints."""
        storage = self.work / "storage"
        done = subprocess.run(
            [
                *("buildah", "--storage-driver", "vfs"),
                *("--root", storage / "root", "--runroot", storage / "run"),
                *map(str, arguments),
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def config(self, image: str) -> dict[str, Any]:
        """Return an image's configuration in Docker's format."""
        description = self.buildah("inspect", "--type", "image", image)
        return json.loads(description)["Docker"]["config"]

    def run(self, command: str) -> str:
        """Run a line of shell in the checkout."""
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def make_python(self) -> None:
        """Build Debian bookworm with its Python under the official image's name."""
        rootfs = self.work / "rootfs"
        log = self.work / "debootstrap.log"
        with log.open("w") as file:
            done = subprocess.run(
                [
                    *("debootstrap", "--variant=minbase", f"--include={PACKAGES}"),
                    *("bookworm", rootfs),
                ],
                stdout=file,
                stderr=file,
            )
        assert done.returncode == 0, log.read_text()[-3000:]
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, rootfs, "/")
        self.buildah("config", "--env", f"PATH={PATH}", "--cmd", "python3", container)
        self._commit(container, base_image("embedded"))
        shutil.rmtree(rootfs)

    def make_tensorflow(self, embedded: str) -> None:
        """Build bases with a server and with TensorFlow from the image `embedded`."""
        container, root = self._without_ours(embedded)
        server = root / "usr/bin/tensorflow_model_server"
        server.write_text(
            '#!/bin/bash\nexec /opt/fovea/bin/fovea serve --bind=0.0.0.0 "$@"\n'
        )
        server.chmod(0o755)
        self._commit(container, base_image("serving"))

        container, root = self._without_ours(embedded)
        packages = next((root / "opt/fovea/lib").glob("python3.*/site-packages"))
        shutil.rmtree(packages / "fovea")
        shutil.rmtree(next(packages.glob("fovea-*.dist-info")))
        (root / "usr/lib/python3/dist-packages/tensorflow.pth").write_text(
            f"/{packages.relative_to(root)}\n"
        )
        self._commit(container, base_image("train"))

    def _without_ours(self, embedded: str) -> tuple[str, Path]:
        container = self.buildah("from", "--pull-never", embedded)
        root = Path(self.buildah("mount", container))
        shutil.rmtree(root / "models")
        shutil.rmtree(root / "etc/fovea")
        (root / "usr/local/bin/grpc-health").unlink()
        self.buildah(
            *("config", "--user", "root", "--env", f"PATH={PATH}"),
            *("--entrypoint", "[]", "--healthcheck", "NONE", container),
        )
        return container, root

    def _commit(self, container: str, name: str) -> None:
        self.buildah("commit", "--quiet", "--format", "docker", container, name)
        self.buildah("rm", container)

    def clean(self) -> None:
        """Remove everything."""
        self.buildah("rm", "--all")
        # Mounted directories are left in place.
        remove = ["rm", "--recursive", "--force", "--one-file-system", self.work]
        subprocess.run(remove, check=True)


def _pip_options() -> dict[str, str]:
    """Return the options of this machine's pip that select the index."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"^[\w:]*\.([\w-]+)='(.*)'$", done.stdout, re.M)
    wanted = ("index-url", "cert", "trusted-host", "proxy", "timeout")
    return {key: value for key, value in found if key in wanted}


def in_terminal(machine: Machine, command: str, log: Path, **more: Any) -> Any:
    """Run `docker run ...` in a terminal."""
    shell = ["bash", "-euc", f"exec {command}"]
    where = {"cwd": machine.checkout, "env": machine.environment}
    return serving(shell, log, **where, **more)
