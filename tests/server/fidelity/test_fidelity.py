"""The embedded server answers as tensorflow_model_server does, request by request."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from serving.server.flags import Flags
from tests.server.fidelity.replay import SCENARIOS, Line, Target, differences, recorded

FLAGS = {field.name for field in dataclasses.fields(Flags)}


def missing(line: Line) -> str | None:
    """What the server does not have yet to answer a line."""
    if "rpc" not in line and "rest_api_port" not in FLAGS:
        return "no REST API yet"
    if "model_config_file" not in FLAGS:
        if line["id"].startswith("reload/"):
            return "no reload yet"
        labelled = "version_label" in line.get("request", {}).get("model_spec", {})
        if labelled and line.get("code") == "OK" and "Status" not in line["rpc"]:
            return "no version labels yet"
    return None


def cases(name: str) -> list[Any]:
    """The lines of a scenario; those that cannot succeed yet are expected to fail."""
    found = []
    for line in recorded(SCENARIOS[name]):
        reason = missing(line)
        # Without reload there is no server to ask.
        xfail = pytest.mark.xfail(
            reason=reason or "", strict=True, run=reason != "no reload yet"
        )
        found.append(pytest.param(line, id=line["id"], marks=xfail if reason else ()))
    return found


@pytest.fixture(scope="module")
def flagged(start: Any) -> Iterator[Target]:
    with start(SCENARIOS["flagged"]) as target:
        yield target


@pytest.fixture(scope="module")
def reloaded(start: Any) -> Iterator[Target]:
    with start(SCENARIOS["reload"]) as target:
        yield target


@pytest.mark.parametrize("line", cases("steady"))
def test_steady(steady: Target, line: Line) -> None:
    found = differences(steady, line)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("line", cases("flagged"))
def test_flagged(flagged: Target, line: Line) -> None:
    found = differences(flagged, line)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("line", cases("reload"))
def test_reload(reloaded: Target, line: Line) -> None:
    """In the order of the recording: each request changes what comes after it."""
    found = differences(reloaded, line, in_sequence=True)
    assert not found, "\n".join(found)
