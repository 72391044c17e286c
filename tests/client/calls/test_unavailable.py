"""Messages for gRPC's texts about an unreachable server."""

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
def test_a_silent_server_is_recognised_in_every_text_for_a_timeout(text):
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
def test_a_refused_connection_is_reported_as_no_server(text, sentence):
    details = f"{ALL}UNKNOWN: ipv4:10.0.0.1:1: Failed to connect to remote host: {text}"
    assert describe_unavailable(details, "t:1").startswith(sentence)


def test_a_broken_connection_is_reported_as_lost():
    details = "recvmsg:Connection timed out"
    assert "was lost before it responded" in describe_unavailable(details, "t:1")
