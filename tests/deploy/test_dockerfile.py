"""The Dockerfile's text; `make test-container` builds it."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from fovea.serving.server.flag_table import WITHOUT_EFFECT, Flags
from fovea.serving.server.flags import parse

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
STAGES = {
    name: (base, body)
    for base, name, body in re.findall(
        r"^FROM (\S+) AS (\w+)\n(.*?)(?=^FROM |\Z)", TEXT, re.M | re.S
    )
}
SERVERS = ["embedded", "serving"]


def instruction(stage, name):
    found = re.findall(rf"^{name} (.*)$", STAGES[stage][1], re.M)
    assert len(found) == 1, (stage, name, found)
    return found[0]


def flags(stage):
    return [one for one in json.loads(instruction(stage, "ENTRYPOINT")) if "--" in one]


def test_the_default_is_the_official_server():
    assert list(STAGES)[-1] == "serving"
    assert "tensorflow/serving:" in STAGES["serving"][0]


@pytest.mark.parametrize("stage", STAGES)
def test_every_base_is_pinned_by_an_argument(stage):
    name = re.fullmatch(r"docker\.io/\w+/\w+:\$\{(\w+)\}(-gpu)?", STAGES[stage][0])[1]
    default = re.search(rf"^ARG {name}=(.+)$", TEXT, re.M)[1]
    assert re.match(r"\d+\.\d+", default)


def test_versions_are_those_of_the_constraints():
    constraints = (ROOT / "constraints.txt").read_text()
    wanted = re.search(r"^tensorflow==(.+)$", constraints, re.M)[1]
    assert f"ARG TF_VERSION={wanted}\n" in TEXT
    file = ROOT / "deploy" / "docker" / "tensorflow-cpu" / "pyproject.toml"
    project = re.search(r"^\[project\]\n(.*?)^\[", file.read_text(), re.M | re.S)[1]
    assert f'version = "{wanted}"' in project
    assert f"tensorflow-cpu=={wanted}" in project
    assert f"\ntensorflow-cpu=={wanted}\n" in constraints


@pytest.mark.parametrize("stage", [*SERVERS, "train"])
def test_user_stop_signal_and_entry_point(stage):
    user, group = instruction(stage, "USER").split(":")
    assert int(user) > 0 and int(group) > 0
    assert instruction(stage, "STOPSIGNAL") == "SIGTERM"
    assert isinstance(json.loads(instruction(stage, "ENTRYPOINT")), list)


def test_both_servers_have_the_same_flags_and_health_check():
    ours = {"--bind=0.0.0.0"}
    theirs = {"--enable_grpc_healthcheck_service=true"}  # ours always has the service
    assert set(flags("embedded")) - ours == set(flags("serving")) - theirs
    for name in ("EXPOSE", "HEALTHCHECK"):
        assert instruction("embedded", name) == instruction("serving", name)


def test_tensorflow_model_server_is_given_only_flags_that_it_has():
    known = set(WITHOUT_EFFECT) | {
        field.name
        for field in dataclasses.fields(Flags)
        if "Not a flag of" not in field.metadata["help"]
    }
    assert {one[2:].partition("=")[0] for one in flags("serving")} <= known


@pytest.mark.parametrize("stage", SERVERS)
def test_the_values_of_the_flags(stage):
    line = parse(flags(stage))
    assert not line.unknown and not line.warnings
    assert (line.flags.port, line.flags.rest_api_port) == (8500, 8501)
    assert line.flags.enable_batching


def test_copied_files_are_included_in_the_build_context():
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    copied = re.findall(r"^COPY (?:--chmod=\d+ )?(?!--)(.+) \S+$", TEXT, re.M)
    for source in " ".join(copied).split():
        assert any(
            source == one[1:] or source.startswith(f"{one[1:]}/")
            for one in ignore
            if one.startswith("!")
        ), source
        if source != "exported":
            assert list(ROOT.glob(source)), source
