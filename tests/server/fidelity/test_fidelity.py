"""The embedded server responds as tensorflow_model_server, request by request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.fidelity.replay import SCENARIOS, Line, Target, differences, recorded

pytestmark = pytest.mark.slow


def cases(name: str) -> list[Any]:
    """The lines of a scenario."""
    return [pytest.param(line, id=line["id"]) for line in recorded(SCENARIOS[name])]


@pytest.fixture(scope="module")
def flagged(start: Any) -> Iterator[Target]:
    with start(SCENARIOS["flagged"]) as target:
        yield target


@pytest.fixture(scope="module")
def batched(start: Any) -> Iterator[Target]:
    with start(SCENARIOS["batched"]) as target:
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


@pytest.mark.parametrize("line", cases("batched"))
def test_batched(batched: Target, line: Line) -> None:
    found = differences(batched, line)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("line", cases("reload"))
def test_reload(reloaded: Target, line: Line) -> None:
    """In the order of the recording: each request changes the later responses."""
    found = differences(reloaded, line, in_sequence=True)
    assert not found, "\n".join(found)
