"""compose.yaml against the specification's schema, and against the other files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def test_the_schema_of_compose_files():
    check = [sys.executable, "-m", "check_jsonschema"]
    schema = ["--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml"]
    done = subprocess.run([*check, *schema], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    if "build" in service:  # the image has a health check of its own
        stage = service["build"]["target"]
        assert f" AS {stage}\n" in (ROOT / "Dockerfile").read_text()
    else:
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
        assert service["healthcheck"]


@pytest.mark.parametrize("profile", ["official", "embedded"])
def test_a_profile_is_one_server_with_its_monitoring(profile):
    chosen = {name for name, one in SERVICES.items() if profile in one["profiles"]}
    assert chosen == {profile, "prometheus", "grafana"}
    # Prometheus finds either server under the same name.
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    target = config["scrape_configs"][0]["static_configs"][0]["targets"][0]
    assert SERVICES[profile]["networks"]["default"]["aliases"] == target.split(":")[:1]


def test_what_is_mounted_exists():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = source in COMPOSE["volumes"] or (ROOT / source).is_dir()
            assert known, source
