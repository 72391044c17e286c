"""Debian's Prometheus scrapes a container and evaluates dashboard and alerts."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from tests.container.machine import ROOT, in_terminal

PORT = 9099


@pytest.fixture(scope="module")
def programs(machine) -> Path:
    """Prometheus and promtool, unpacked and not installed."""
    where = machine.work / "prometheus"
    where.mkdir()
    for command in ("apt-get download prometheus", "dpkg -x prometheus_*.deb ."):
        subprocess.run(command, shell=True, cwd=where, check=True)
    return where / "usr" / "bin"


def query(path: str) -> dict:
    with urlopen(f"http://127.0.0.1:{PORT}/api/v1/{path}", timeout=30) as response:
        return json.load(response)["data"]


def test_every_expression_of_the_dashboard_has_a_value(
    machine, embedded, programs, tmp_path
):
    config = ROOT / "deploy" / "prometheus" / "prometheus.yml"
    subprocess.run([programs / "promtool", "check", "config", config], check=True)
    settings = yaml.safe_load(config.read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(config.with_name("alerts.yml"))]
    settings["scrape_configs"][0]["static_configs"] = [{"targets": ["127.0.0.1:8501"]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings))
    run = f"docker run --rm --publish 8500:8500 --publish 8501:8501 {embedded}"
    prometheus = [
        programs / "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{PORT}",
    ]
    with (
        in_terminal(machine, run, tmp_path / "log"),
        (tmp_path / "prometheus.log").open("wb") as log,
        subprocess.Popen(prometheus, stderr=log) as scraper,
    ):
        try:
            without_value = _request_until_all_have_values(machine)
            rules = [
                rule for group in query("rules")["groups"] for rule in group["rules"]
            ]
        finally:
            scraper.terminate()
    assert not without_value
    assert len(rules) == 4
    assert {rule["health"] for rule in rules} == {"ok"}


def _request_until_all_have_values(machine) -> set[str]:
    """Make requests until every expression has a value; return those without one."""
    file = ROOT / "deploy" / "grafana" / "dashboards" / "fovea.json"
    without_value = {
        target["expr"].replace("$__rate_interval", "30s").replace("$model", ".*")
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
    }
    for _ in range(30):
        machine.run("fovea predict runs/demo/digits/*.png --model digits")
        machine.run("! fovea predict runs/demo/digits/1.png --model nobody")
        time.sleep(1)
        without_value = {
            one
            for one in without_value
            if not query(f"query?query={quote(one)}")["result"]
        }
        if not without_value:
            break
    return without_value
