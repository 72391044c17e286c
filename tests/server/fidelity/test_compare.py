"""The comparison itself: differences that it ignores, and those that it reports."""

import json

import pytest

from tests.server.fidelity.compare import grpc_differences, rest_differences
from tests.server.fidelity.replay import SCENARIOS, recorded

BODY = '{\n    "outputs": {\n        "a": [\n            0.100000001\n        ],\n'
BODY += '        "b": 2.0\n    }\n}'


def rest(answer, **changes):
    line = {"status": 200, "content_type": "application/json", "answer": answer}
    return line | changes


@pytest.mark.parametrize(
    "received",
    [
        BODY,
        BODY.replace("0.100000001", "0.1000001"),
        '{\n    "outputs": {\n        "b": 2.0,\n        "a": [\n'
        "            0.100000001\n        ]\n    }\n}",
    ],
    ids=["itself", "last digits", "order of a map"],
)
def test_equivalent_bodies(received):
    assert rest_differences(rest(BODY), rest(received)) == []


@pytest.mark.parametrize(
    "received",
    [
        BODY.replace("0.100000001", "0.1001001"),
        BODY.replace("2.0", "2"),
        BODY.replace("2.0", "2.00"),
        BODY.replace("        ", "      "),
        BODY.replace("[\n            0.100000001\n        ]", "[0.100000001]"),
        BODY.replace('"b"', '"c"'),
        BODY.replace('"b": 2.0', '"b": "2.0"'),
        BODY + "\n\n",
        "",
    ],
)
def test_different_bodies(received):
    assert rest_differences(rest(BODY), rest(received))


def test_status_and_content_type_are_compared():
    for changes in ({"status": 201}, {"content_type": "text/html"}):
        assert len(rest_differences(rest(BODY), rest(BODY, **changes))) == 1


def test_numbers_in_names_of_functions_are_ignored():
    text = "Bad\n\t [[{{function_node __inference_both_%d}}{{node mul}}]]"
    line = {"code": "INTERNAL", "details": text % 7}
    assert grpc_differences(line, {"code": "INTERNAL", "details": text % 12}) == []
    assert grpc_differences(line, {"code": "UNKNOWN", "details": text % 7})
    other = text.replace("mul", "add") % 7
    assert grpc_differences(line, {"code": "INTERNAL", "details": other})
    first = line | {"compare": "first line"}
    assert grpc_differences(first, {"code": "INTERNAL", "details": other}) == []


def test_the_mark_of_a_debug_text_is_ignored():
    text = "No inputs in SignatureDef: goo.gle/%s\ninputs {\n}\n"
    line = {"code": "INTERNAL", "details": text % "debugproto    "}
    for mark in ("debugproto ", "debugstr  ", "debugonly   "):
        details = text % mark
        assert grpc_differences(line, {"code": "INTERNAL", "details": details}) == []
        assert rest_differences(rest(line["details"]), rest(details)) == []
    for mark in ("debug ", "debugproto", "debugproto     "):
        details = text % mark
        assert grpc_differences(line, {"code": "INTERNAL", "details": details})


@pytest.mark.parametrize("received", [[3.50004], [4], [3.5, 1.0], ["3.5"], []])
def test_values_that_differ(received):
    line = {"code": "OK", "response": {"y": [3.5]}}
    assert grpc_differences(line, {"code": "OK", "response": {"y": received}})


def test_every_line_has_a_unique_id_and_equals_itself():
    lines = [line for scenario in SCENARIOS.values() for line in recorded(scenario)]
    assert len({line["id"] for line in lines}) == len(lines)
    for line in lines:
        compare = grpc_differences if "rpc" in line else rest_differences
        assert compare(line, json.loads(json.dumps(line))) == []
