"""Requests with a few bytes changed have documented codes and crash no server."""

from __future__ import annotations

from collections import Counter
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

pytestmark = pytest.mark.slow

LINES = {line["id"]: line for line in recorded(SCENARIOS["steady"]) if "rpc" in line}
# INTERNAL is gRPC's own code for bytes that it cannot parse, UNIMPLEMENTED that of
# MultiInference for an unknown method.
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


# Small numbers, which are fields, lengths and enums; letters; extreme values.
BYTES = b"\x00\x01\x02\x03\x04\x08\x0aabx0\x7f\x80\xff"


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A method and a valid request for it, with bytes replaced, removed or repeated."""
    method, raw = draw(st.sampled_from(VALID))
    request = bytearray(raw)
    # Messages with single bytes replaced can mostly still be parsed.
    changes = ["replace"] * 8 + ["remove", "insert", "repeat"]
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(request) - 1))
        change = draw(st.sampled_from(changes))
        if change == "replace":
            request[at] = draw(st.sampled_from(BYTES))
        elif change == "remove":
            del request[at : at + draw(st.integers(1, 3))]
        elif change == "insert":
            request[at:at] = draw(st.binary(min_size=1, max_size=3))
        else:
            request[at:at] = request[at : at + draw(st.sampled_from([1, 8, 24]))]
    return method, bytes(request)


@pytest.fixture(scope="module")
def channel(steady: Target) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(steady.grpc) as channel:
        yield channel


def test_changed_bytes(steady: Target, channel: grpc.Channel) -> None:
    seen = Counter[str]()

    @settings(max_examples=500, deadline=None, derandomize=True, database=None)
    @given(mutated())
    def send(request: tuple[str, bytes]) -> None:
        method, raw = request
        call = channel.unary_unary(f"/tensorflow.serving.{method}")
        try:
            call(raw, timeout=30)
            seen["OK"] += 1
        except grpc.RpcError as error:
            seen[error.code().name] += 1
            assert error.code().name in CODES, error.details()
            assert "Traceback" not in error.details()

    send()
    assert {"OK", "INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND"} <= seen.keys()
    assert seen["INTERNAL"] < 0.9 * seen.total()  # otherwise only the parser was tested
    for name in ("predict/latest", "classify/ok"):
        assert differences(steady, LINES[name]) == []
