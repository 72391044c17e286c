"""Whether a response is the recorded one, but for what differs between processes.

That is: the last digits of floats, the order of maps, the numbers that TensorFlow
counts up in the names of functions, and the mark that protobuf puts before a message
that it prints for debugging: one of three words and 1 to 4 blanks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

RELATIVE_TOLERANCE = 1e-5

# A JSON number of more digits than rounding leaves alone.
_LONG_FLOAT = re.compile(r"-?\d+\.\d{6,}(e[-+]?\d+)?|-?\d\.\d+e[-+]?\d+")


def grpc_differences(line: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """Return what differs between a recorded gRPC response and another.

    Args:
        line: A line of a recording: `code` and `response` or `details`.
        got: The same of the other response.

    Returns:
        A sentence for each difference; none when the responses are equal.
    """
    if line["code"] != got["code"]:
        details = got.get("details", "")
        return [f"code: {line['code']} expected, {got['code']} received: {details}"]
    if line["code"] == "OK":
        return list(tree_differences(line["response"], got["response"], "response"))
    expected, received = line["details"], got["details"]
    if line.get("compare") == "first line":
        expected, received = expected.partition("\n")[0], received.partition("\n")[0]
    if plain(expected) != plain(received):
        return [f"details: expected\n{expected}\nreceived\n{received}"]
    return []


def rest_differences(line: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """Return what differs between a recorded HTTP response and another.

    Bodies are compared as text: white space, and how numbers are written, count.

    Args:
        line: A line of a recording: `status`, `content_type` and `answer`.
        got: The same of the other response.
    """
    found = [
        f"{key}: {line[key]!r} expected, {got[key]!r} received"
        for key in ("status", "content_type")
        if line[key] != got[key]
    ]
    expected, received = plain(line["answer"]), plain(got["answer"])
    if expected == received:
        return found
    try:
        trees = json.loads(expected), json.loads(received)
    except ValueError:
        trees = expected, received
    found.extend(tree_differences(*trees, "answer"))
    if layout(expected) != layout(received):
        found.append(
            f"layout of the answer: expected\n{expected}\nreceived\n{received}"
        )
    return found


def plain(text: str) -> str:
    """Return a text without what differs in each process."""
    text = re.sub(r"(\{\{function_node \w+?)_\d+\}\}", r"\1_N}}", text)
    return re.sub(r"goo\.gle/debug(proto|str|only) {1,4}", "goo.gle/debugproto ", text)


def layout(text: str) -> list[str]:
    """Return the lines of a JSON text in an order independent of that of its maps.

    Floats that rounding may change become F: their values are compared elsewhere.
    """
    return sorted(_LONG_FLOAT.sub("F", line).rstrip(",") for line in text.splitlines())


def tree_differences(expected: Any, received: Any, where: str) -> Iterator[str]:
    """Yield what differs between two JSON values; floats may a little."""
    if isinstance(expected, dict) and isinstance(received, dict):
        for key in sorted(expected.keys() | received.keys()):
            place = f"{where}.{key}"
            if key not in received:
                yield f"{place}: missing"
            elif key not in expected:
                yield f"{place}: not expected, received {received[key]!r}"
            else:
                yield from tree_differences(expected[key], received[key], place)
    elif isinstance(expected, list) and isinstance(received, list):
        if len(expected) != len(received):
            yield f"{where}: {len(expected)} entries expected, {len(received)} received"
        for index, pair in enumerate(zip(expected, received, strict=False)):
            yield from tree_differences(*pair, f"{where}[{index}]")
    elif not _equal(expected, received):
        yield f"{where}: {expected!r} expected, {received!r} received"


def _equal(expected: Any, received: Any) -> bool:
    if isinstance(expected, float) and isinstance(received, float):
        same = math.isclose(expected, received, rel_tol=RELATIVE_TOLERANCE)
        return same or (math.isnan(expected) and math.isnan(received))
    return type(expected) is type(received) and bool(expected == received)
