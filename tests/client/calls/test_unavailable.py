"""What gRPC's texts about a server out of reach mean."""

import pytest

from fovea.serving.client.calls.unavailable import describe_unavailable

ALL = "failed to connect to all addresses; last error: "


@pytest.mark.parametrize(
    "text",
    [
        "UNKNOWN: ipv4:127.0.0.1:1: tcp handshaker shutdown",
        "UNKNOWN: ipv4:127.0.0.1:1: connect() timed out",
        "DEADLINE_EXCEEDED: ipv4:127.0.0.1:1: connect() timed out",
        "UNKNOWN: ipv4:10.0.0.1:1: Failed to connect to remote host: "
        "Connection timed out",
        "UNKNOWN: ipv4:10.0.0.1:1: Failed to connect to remote host: FD Shutdown",
        "UNKNOWN: ipv4:10.0.0.1:1: Failed to connect to remote host: Timeout occurred",
    ],
)
def test_silence_is_told_from_refusal_on_every_network_stack(text):
    assert describe_unavailable(ALL + text, "t:1").startswith(
        "Nothing comes back from t:1"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Connection refused", "No server responds at t:1 (Connection refused)"),
        ("No route to host", "No server responds at t:1 (No route to host)"),
    ],
)
def test_a_refusal_stays_one(text, sentence):
    said = f"{ALL}UNKNOWN: ipv4:10.0.0.1:1: Failed to connect to remote host: {text}"
    assert describe_unavailable(said, "t:1").startswith(sentence)


def test_a_connection_that_dies_was_lost_not_silent():
    said = "recvmsg:Connection timed out"
    assert "was lost before it responded" in describe_unavailable(said, "t:1")
