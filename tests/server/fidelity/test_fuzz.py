"""Requests with a few bytes changed: a documented code each, a server that lives."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.fidelity.replay import (
    SCENARIOS,
    Target,
    differences,
    recorded,
    request_of,
)

LINES = {line["id"]: line for line in recorded(SCENARIOS["steady"]) if "rpc" in line}
# INTERNAL is what gRPC itself answers to bytes that it cannot parse, UNIMPLEMENTED
# what MultiInference answers to a method that it does not know.
CODES = {
    *("INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"),
    "UNIMPLEMENTED",
}
VALID = [
    (LINES[name]["rpc"], request_of(LINES[name]).SerializeToString(deterministic=True))
    for name in (
        *("predict/version1", "predict/filter_one", "predict/echo_string"),
        *("predict/echo_complex128", "predict/default_for_b"),
        *("classify/ok", "classify/context", "regress/ok", "multi/ok"),
        *("metadata/two_fields", "status/affine_v1"),
    )
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A method and a valid request for it, with bytes replaced, removed or repeated."""
    method, raw = draw(st.sampled_from(VALID))
    request = bytearray(raw)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(request)))
        change = draw(st.sampled_from(["replace", "remove", "insert", "repeat"]))
        length = draw(st.integers(1, 3))
        if change == "remove":
            del request[at : at + length]
        elif change == "repeat":
            request[at:at] = request[at : at + 8 * length]
        else:
            end = at + length if change == "replace" else at
            request[at:end] = draw(st.binary(min_size=1, max_size=length))
    return method, bytes(request)


@pytest.fixture(scope="module")
def channel(steady: Target) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(steady.grpc) as channel:
        yield channel


def test_changed_bytes(steady: Target, channel: grpc.Channel) -> None:
    seen = set()

    @settings(max_examples=500, deadline=None, derandomize=True, database=None)
    @given(mutated())
    def ask(request: tuple[str, bytes]) -> None:
        method, raw = request
        call = channel.unary_unary(f"/tensorflow.serving.{method}")
        try:
            call(raw, timeout=30)
            seen.add("OK")
        except grpc.RpcError as error:
            seen.add(error.code().name)
            assert error.code().name in CODES, error.details()
            assert "Traceback" not in error.details()

    ask()
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= seen
    for name in ("predict/latest", "classify/ok"):
        assert differences(steady, LINES[name]) == []
