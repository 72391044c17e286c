"""Why nobody answers at an address, read from gRPC's words.

gRPC has one code, UNAVAILABLE, for "nobody there", "somebody else there" and "there,
but not now"; only its text tells them apart. Text that is unknown here falls through to
a sentence that is always true.
"""

import re

# What gRPC's text holds -> what it means and what to do, the first that fits.
_MEANINGS = [
    (
        "Hostname Verification Check failed|is not in peer certificate",
        "The certificate of the server at {target} is for another name; say the name "
        "that it bears as server_name, or ask the server by that name.",
    ),
    (
        "certificate has expired|certificate is not yet valid",
        "The certificate of the server at {target} is out of date ({reason}); have "
        "its operator renew it, or set this machine's clock.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "The certificate of the server at {target} comes from an authority that is "
        "not trusted ({reason}); say which one to trust as ca_certificate.",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "The server at {target} does not speak TLS; ask it without TLS, or ask at "
        "another port.",
    ),
    (
        # the latter as of grpcio 1.71: no address is left that it could dial
        "security handshaker|empty address list",
        "The certificates for {target} cannot be used; each is a PEM file, and the "
        "client's key is the one that belongs to its certificate.",
    ),
    (
        "from plugin failed",
        "The token for {target} could not be had ({reason}).",
    ),
    (
        "backend unhealthy",
        "No server at {target} takes calls now: their health services say that they "
        "are not serving; they may be starting or stopping.",
    ),
    (
        "Too many pings|too_many_pings",
        "The server at {target} ended the connection, because it was asked for signs "
        "of life too often; use a longer keepalive.",
    ),
    (
        "before receiving SETTINGS frame",
        "Something listens at {target} but says nothing; it does not speak gRPC, or "
        "it hangs.",
    ),
    (
        # which of these depends on the network stack: who gave up, and at which step
        "handshaker shutdown|to connect.*(timed out|Timeout occurred|FD [Ss]hutdown)",
        "Nothing comes back from {target}; check the address, and whether a firewall "
        "is in between.",
    ),
    (
        "HTTP/2|SETTINGS frame",
        "Something listens at {target} but does not speak gRPC ({said}); is it the "
        "REST port? TensorFlow Serving's gRPC port is usually 8500.",
    ),
    (
        "to connect.*(Socket closed|reset by peer|CERTIFICATE_REQUIRED|alert)|"
        "backends failing.*(Socket closed|reset by peer|CERTIFICATE_REQUIRED|alert)",
        "The server at {target} hangs up as soon as it is reached ({reason}); it may "
        "want TLS, or a client certificate that it trusts, or it is stopping.",
    ),
    (
        "failed to connect to all addresses|all backends failing",
        "No server answers at {target} ({reason}); start one with `fovea serve`, or "
        "check the address.",
    ),
    (
        "resolv|resolution",
        "The host name in {target} cannot be resolved; check the address, for example "
        "127.0.0.1:8500.",
    ),
    (
        "Socket closed|reset by peer|Broken pipe|Connection timed out|ping timeout",
        "The connection to the server at {target} was lost before it answered "
        "({reason}); it may have been stopped or restarted.",
    ),
]


def why_unreachable(said: str, target: str) -> str:
    """One sentence for a call that ended with UNAVAILABLE.

    Args:
        said: gRPC's or the server's text.
        target: the address asked.
    """
    for pattern, sentence in _MEANINGS:
        if re.search(pattern, said):
            return sentence.format(target=target, said=said, reason=_reason(said))
    return f"The server at {target} cannot answer now ({said})."


def _reason(said: str) -> str:
    # "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1:
    # Failed to connect to remote host: Connection refused" -> its last part; that of a
    # failed handshake ends in ": OK", which is the check of something else.
    return said.removesuffix(": OK").rpartition(": ")[2].strip()
