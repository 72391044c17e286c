"""Find the reason of an UNAVAILABLE status in gRPC's message.

gRPC has this one code for no server, a server of another protocol and a server that
accepts no calls now; only the message distinguishes them. A message that is unknown
here gets a sentence that is true in every case.
"""

import re

# Pattern in gRPC's message, and the sentence for it; the first match counts.
_SENTENCES = [
    (
        "Hostname Verification Check failed|is not in peer certificate",
        "The certificate of the server at {target} is for another name; pass its name "
        "as server_name, or use it in the address.",
    ),
    (
        "certificate has expired|certificate is not yet valid",
        "The certificate of the server at {target} is not valid now ({reason}); have "
        "its operator renew it, or set this machine's clock.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "The certificate of the server at {target} comes from an authority that is "
        "not trusted ({reason}); pass the one to trust as ca_certificate.",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "The server at {target} does not use TLS; connect without TLS, or to another "
        "port.",
    ),
    (
        # the latter as of grpcio 1.71, which finds no address left to connect to
        "security handshaker|empty address list",
        "The certificates for {target} cannot be used; each must be in PEM format, and "
        "the client's key must belong to its certificate.",
    ),
    (
        "from plugin failed",
        "The token for {target} is unavailable ({reason}).",
    ),
    (
        "backend unhealthy",
        "No server at {target} accepts calls now: their health services report that "
        "they are not serving; they may be starting or stopping.",
    ),
    (
        "Too many pings|too_many_pings",
        "The server at {target} closed the connection because of too many keep-alive "
        "pings; use a longer keepalive.",
    ),
    (
        "before receiving SETTINGS frame",
        "Something listens at {target} but sends nothing; it does not speak gRPC, or "
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
        "Something listens at {target} but does not speak gRPC ({message}); is it the "
        "REST port? TensorFlow Serving's gRPC port is usually 8500.",
    ),
    (
        "to connect.*(Socket closed|reset by peer|CERTIFICATE_REQUIRED|alert)|"
        "backends failing.*(Socket closed|reset by peer|CERTIFICATE_REQUIRED|alert)",
        "The server at {target} closes connections at once ({reason}); it may require "
        "TLS, or a client certificate that it trusts, or it is stopping.",
    ),
    (
        "failed to connect to all addresses|all backends failing",
        "No server responds at {target} ({reason}); start one with `fovea serve`, or "
        "check the address.",
    ),
    (
        "resolv|resolution",
        "The host name in {target} cannot be resolved; check the address, for example "
        "127.0.0.1:8500.",
    ),
    (
        "Socket closed|reset by peer|Broken pipe|Connection timed out|ping timeout",
        "The connection to the server at {target} was lost before it responded "
        "({reason}); it may have been stopped or restarted.",
    ),
]


def describe_unavailable(message: str, target: str) -> str:
    """Return a sentence for a call that ended with UNAVAILABLE.

    Args:
        message: The status message of gRPC or of the server.
        target: The address of the call.
    """
    for pattern, sentence in _SENTENCES:
        if re.search(pattern, message):
            return sentence.format(
                target=target, message=message, reason=_reason(message)
            )
    return f"The server at {target} accepts no calls now ({message})."


def _reason(message: str) -> str:
    # "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1:
    # Failed to connect to remote host: Connection refused" -> its last part; that of a
    # failed handshake ends in ": OK", which is the check of something else.
    return message.removesuffix(": OK").rpartition(": ")[2].strip()
