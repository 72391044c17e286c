"""The routes of the REST API, with TensorFlow Serving's quirks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from tensorflow_serving.apis import model_pb2

from fovea.serving.server.errors import invalid_argument

# Fixed words match in any case here; the verbs below are lower case only.
_API = re.compile(r"/v1/.*", re.IGNORECASE)
_VERSION = r"(?:/versions/([0-9]+)|/labels/([^/:]+))?"
_POST = re.compile(
    rf"/v1/models/([^/:]+){_VERSION}:(classify|regress|predict)", re.IGNORECASE
)
_GET = re.compile(rf"/v1/models(?:/([^/:]+))?{_VERSION}(?:/(metadata))?", re.IGNORECASE)

VERBS = ("classify", "regress", "predict")
MAX_INT64 = 2**63 - 1


class BadVersion(Exception):
    """A version that is not an int64: the one error that has an empty body."""


@dataclass(frozen=True)
class Route:
    """The meaning of a request line.

    Attributes:
        action: `classify`, `regress`, `predict`, `metadata` or `status`.
        spec: The model and the version or label that the path names.
    """

    action: str
    spec: model_pb2.ModelSpec


def is_api(target: str) -> bool:
    """Return whether a path belongs to the REST API."""
    return _API.fullmatch(target) is not None


def route(method: str, target: str) -> Route:
    """Parse a request line.

    Args:
        method: The HTTP method.
        target: The path as it was sent, and the query with its question mark.

    Raises:
        ServingError: INVALID_ARGUMENT, no route matches.
        BadVersion: The version is too big.
    """
    pattern = {"POST": _POST, "GET": _GET}.get(method)
    match = pattern.fullmatch(target) if pattern else None
    malformed = invalid_argument(f"Malformed request: {method} {target}")
    if match is None:
        raise malformed
    name, version, label, action = match.groups()
    spec = model_pb2.ModelSpec()
    if name:
        spec.name = _decoded(name)
    if version:
        if int(version) > MAX_INT64:
            raise BadVersion
        spec.version.value = int(version)
    if label:
        spec.version_label = _decoded(label)
    if method == "GET":
        # `/METADATA` matches as well, but returns the status.
        return Route("metadata" if action == "metadata" else "status", spec)
    if action not in VERBS:
        raise malformed
    return Route(action, spec)


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")
