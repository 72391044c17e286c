"""The private parts of grpcio that `threads` uses, as they were when it was tested.

grpcio promises nothing about them. `make test-grpcio` runs the contract test with the
lowest and the highest version that pyproject.toml admits; `difference` compares the
version at hand with what was recorded here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

try:
    from grpc import _server as server
except ImportError:  # a version without this module
    server = None

# Parameters of the functions that are replaced or called, without annotations.
SIGNATURES = {
    "_abort": "(state, call, code, details)",
    "_call_behavior": (
        "(rpc_event, state, behavior, argument, request_deserializer, "
        "send_response_callback=None)"
    ),
    "_handle_unary_unary": "(rpc_event, state, method_handler, default_thread_pool)",
    "_is_rpc_state_active": "(state)",
    "_receive_message": "(state, call, request_deserializer)",
    "_serialize_response": "(rpc_event, state, response, response_serializer)",
    "_serialized_request": "(request_event)",
    "_status": "(rpc_event, state, serialized_response)",
    "_unary_request": "(rpc_event, state, request_deserializer)",
    "_unary_response_in_pool": (
        "(rpc_event, state, behavior, argument_thunk, request_deserializer, "
        "response_serializer)"
    ),
}
_CONSTANTS = ("_CLOSED", "_RECEIVE_MESSAGE_TOKEN")
_CYTHON = ("ReceiveMessageOperation", "StatusCode")
_STATE = ("client", "code", "condition", "details", "due", "request", "statused")


def difference(module: Any) -> str | None:
    """Compare a version of grpcio with the recorded one.

    Args:
        module: Its module `grpc._server`, or None if there is no such module.

    Returns:
        The first difference, or None if there is none.
    """
    if module is None:
        return "there is no module grpc._server"
    for name, recorded in SIGNATURES.items():
        function = getattr(module, name, None)
        if not callable(function):
            return f"there is no function {name}"
        found = _parameters(function)
        if found != recorded:
            return f"{name} has the parameters {found}, not {recorded}"
    cython = getattr(module, "cygrpc", None)
    for owner, names in ((module, _CONSTANTS), (cython, _CYTHON)):
        for name in names:
            if not hasattr(owner, name):
                return f"there is no {name}"
    try:
        state = module._RPCState()
    except (AttributeError, TypeError) as error:
        return f"_RPCState cannot be made: {error}"
    for name in _STATE:
        if not hasattr(state, name):
            return f"_RPCState has no {name}"
    return None


def _parameters(function: Callable[..., Any]) -> str:
    """Return the parameters of a function as text, without annotations."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # not written in Python
        return "(?)"
    bare = [parameter.replace(annotation=parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare))
