"""A served digit classifier, the page's command, and a headless browser."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import shared

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "fovea", "web"]
PRETRAINED = "pretrained:mnist"


@pytest.fixture(scope="session")
def repository(tf, tmp_path_factory):
    """digits and changing have explain signatures; plain is the same model without."""
    from fovea.training.exporting.export import export
    from fovea.training.runs.pretrained import locate

    def write(directory):
        run = locate(PRETRAINED)
        export(run, directory / "digits", with_explain="auto")
        export(run, directory / "plain")
        for warmup in directory.rglob("tf_serving_warmup_requests"):
            warmup.unlink()  # which costs seconds, for requests that are not made here

    exported = shared.directory(tmp_path_factory, "web", write)
    directory = tmp_path_factory.mktemp("web")
    for name in ("digits", "plain"):
        (directory / name).symlink_to(exported / name)
    shutil.copytree(directory / "digits" / "1", directory / "changing" / "1")
    return directory


@contextlib.contextmanager
def serving(repository, *models):
    """The embedded server, in this process, where TensorFlow has started already."""
    from fovea.serving.server.flags import parse
    from fovea.serving.server.lifecycle.model_config import read_config
    from fovea.serving.server.server import Server

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = repository / f"{'-'.join(models)}.config"
    entries = "".join(
        f'config {{ name: "{name}" base_path: "{repository / name}" '
        'model_platform: "tensorflow" }\n'
        for name in models
    )
    config.write_text(f"model_config_list {{ {entries} }}")
    flags = parse([f"--port={port}", f"--model_config_file={config}"]).flags
    server = Server(flags)
    server.load(read_config(flags))
    server.open()
    try:
        yield server, f"127.0.0.1:{port}"
    finally:
        server.drain(5)


@pytest.fixture(scope="session")
def target(repository):
    """Address of a server with these models."""
    with serving(repository, "digits", "plain", "changing") as (_, address):
        yield address


@dataclass
class Page:
    """A running `fovea web`."""

    process: subprocess.Popen
    url: str

    def request(self, method, path, body=None, **headers):
        """Return (status, headers, JSON or text) of one request."""
        address = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=60)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            text = response.read().decode()
            if response.headers.get_content_type() == "application/json":
                return response.status, response.headers, json.loads(text)
            return response.status, response.headers, text


@contextlib.contextmanager
def page_at(target, *words, end=signal.SIGTERM):
    """Start the command in a process, and end it by a signal."""
    process = subprocess.Popen(
        [*COMMAND, "--server", target, "--port", "0", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        first = process.stdout.readline()
        assert first, process.stderr.read()
        yield Page(process, first.split()[0])
    finally:
        process.send_signal(end)
        _, errors = process.communicate(timeout=90)
    assert (process.returncode, errors) == (0, "")


@pytest.fixture(scope="session")
def page(target):
    with page_at(target, "--model", "digits", "--model", "plain") as page:
        yield page


@pytest.fixture(scope="session")
def start_page():
    return page_at


@pytest.fixture(scope="session")
def start_server():
    return serving


@pytest.fixture(scope="session")
def artefacts():
    """The folder of screenshots for inspection: tests/artefacts."""
    directory = ROOT / "tests" / "artefacts"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium. It reaches 127.0.0.1 and resolves no other name."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in (
        "--headless=new",
        "--disable-gpu",
        "--hide-scrollbars",
        "--window-size=1100,1000",
        # The browser's own traffic is not the page's.
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--no-proxy-server",
    ):
        options.add_argument(switch)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # which Chromium lacks as root
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    # With the driver's path selenium neither searches for one nor downloads it.
    service = webdriver.ChromeService(executable_path=driver)
    browser = webdriver.Chrome(options=options, service=service)
    yield browser
    browser.quit()
