"""Dashboard and alerts query only metrics and labels that a server exports."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import promql_parser
import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/fovea.json").read_text())
PROMETHEUS = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
# The last stage, whose server has the same files as the other one.
STAGE = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
# Labels that Prometheus itself adds to every series.
ADDED = {"job", "instance"}


def free_ports():
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="module")
def page(exported, tmp_path_factory):
    """Series and their labels, after a request that succeeded and one that failed."""
    root = tmp_path_factory.mktemp("served")
    shutil.copytree(exported.parent, root / "digits")
    script = [sys.executable, DOCKER / "models_config.py", root]
    subprocess.run(script, check=True, capture_output=True)
    config = root / "models.config"
    config.write_text(config.read_text().replace('"/models/', f'"{root}/'))
    grpc_port, rest_port = free_ports()
    flags = re.findall(r'"(--(?:enable|allow|batching|monitoring)[^"]*)"', STAGE)
    flags = [one.replace("/etc/fovea", str(DOCKER)) for one in flags]
    flags += [f"--port={grpc_port}", f"--rest_api_port={rest_port}"]
    flags += [f"--model_config_file={config}"]
    log = root / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "fovea.serving.server", *flags],
            stdout=file,
            stderr=file,
        )
    try:
        end = time.monotonic() + 90
        check = [DOCKER / "grpc-health", str(grpc_port)]
        while subprocess.run(check, capture_output=True).returncode != 0:
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        url = f"http://127.0.0.1:{rest_port}"
        image = [[[0] for _ in range(28)] for _ in range(28)]
        for instances in ([image], [0]):
            body = json.dumps({"instances": instances}).encode()
            with contextlib.suppress(HTTPError):
                urlopen(Request(f"{url}/v1/models/digits:predict", body), timeout=60)
        path = PROMETHEUS["scrape_configs"][0]["metrics_path"]
        with urlopen(f"{url}{path}", timeout=60) as response:
            text = response.read().decode()
    finally:
        server.kill()
        server.wait()
    series = re.findall(r"^([\w:]+)\{(.*)\} \S+$", text, re.M)
    return {name: set(re.findall(r'(\w+)="', labels)) for name, labels in series}


def expressions():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def selectors(expression):
    """Yield the metric and the labels of each selector in an expression."""
    kind = type(expression).__name__
    if kind == "VectorSelector":
        yield expression.name, {one.name for one in expression.matchers.matchers}
    elif kind == "MatrixSelector":
        yield from selectors(expression.vector_selector)
    elif kind == "AggregateExpr":
        by = set(expression.modifier.labels) if expression.modifier else set()
        for metric, labels in selectors(expression.expr):
            yield metric, labels | by
    elif kind == "BinaryExpr":
        yield from selectors(expression.lhs)
        yield from selectors(expression.rhs)
    elif kind == "Call":
        for argument in expression.args:
            yield from selectors(argument)
    else:
        assert kind in ("NumberLiteral", "StringLiteral"), kind


@pytest.mark.parametrize(("title", "expression"), list(expressions()))
def test_every_queried_metric_and_label_is_exported(page, title, expression):
    text = expression.replace("$__rate_interval", "5m").replace("$model", ".*")
    found = list(selectors(promql_parser.parse(text)))
    assert found
    for metric, labels in found:
        if metric == "up":
            continue
        assert metric in page, metric
        assert labels <= page[metric] | ADDED, (metric, labels - page[metric])


def test_alert_summaries_use_labels_that_their_expression_keeps():
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            used = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
            if " by (" in rule["expr"]:
                kept = re.findall(r"by \(([^)]*)\)", rule["expr"])
                assert all(label in names for label in used for names in kept)


def test_dashboard_and_data_source_are_provisioned():
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load(
        (provisioning / "datasources" / "prometheus.yaml").read_text()
    )["datasources"]
    assert source["url"] == "http://prometheus:9090"  # the name in compose.yaml
    uids = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    uids |= {one["datasource"]["uid"] for one in DASHBOARD["templating"]["list"]}
    assert uids == {source["uid"]}
    (provider,) = yaml.safe_load(
        (provisioning / "dashboards" / "fovea.yaml").read_text()
    )["providers"]
    mounts = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["grafana"]
    assert (
        f"./deploy/grafana/dashboards:{provider['options']['path']}:ro"
        in (mounts["volumes"])
    )
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24
