"""The exact JSON reader, compared with the standard library's and orjson."""

import json
import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.serving.server.errors import ServingError
from fovea.serving.server.rest.encoding.parse import may_hold_booleans, parse
from fovea.serving.server.rest.encoding.reader import JSONError, read

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def same(one, other):
    """Return whether values and types are equal: 1, 1.0 and True differ in JSON."""
    return repr(one) == repr(other)


@settings(deadline=None)
@given(VALUES, st.booleans(), st.sampled_from(["", " ", "\n\t"]))
def test_reads_what_the_standard_library_writes(value, ascii_only, space):
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(f"{space},", ":"))
    assert same(read(f"{space}{text}".encode()), json.loads(text))


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=40) | st.text('[]{},:"\\u0eE1-.+ntfrueal ', max_size=20))
def test_accepts_all_that_orjson_accepts(text):
    raw = text if isinstance(text, bytes) else text.encode()
    try:
        expected = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return
    if isinstance(expected, float) and "e" in raw.decode().lower():
        return  # 0e999 is a number here and too large for orjson
    assert same(read(raw), expected)


@given(VALUES.map(json.dumps), st.integers(0, 100), st.binary(max_size=2))
def test_errors_state_their_position(text, at, put):
    broken = text.encode()[:at] + put + text.encode()[at + 1 :]
    try:
        read(broken)
    except JSONError as error:
        assert 0 <= error.offset <= len(broken)
        assert error.reason.endswith(".")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"[1, 2] trailing", [1, 2]),
        (b"1\x00,", 1),
        (b"[NaN, Inf, -Infinity, Infinity]", [math.nan, math.inf, -math.inf, math.inf]),
        (b"\xef\xbb\xbf[]", []),
        (b"-0", 0),
        (b"-0.0", -0.0),
        (b"18446744073709551615", 2**64 - 1),
        (b"18446744073709551616", float(2**64)),
        (b"-9223372036854775809", -float(2**63)),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'"\xff"', "\udcff"),
        (b'"\\udc00"', "\udced\udcb0\udc80"),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"[" * 100_000 + b"]" * 100_000, None),
    ],
)
def test_reads_texts_that_others_reject(text, value):
    if value is None:  # deep: repr and == would recurse
        assert isinstance(read(text), list)
    else:
        assert same(read(text), value)


def test_the_tables_of_errors_are_in_the_recordings():
    """tests/server/fidelity has the wording; here, that offsets count bytes."""
    with pytest.raises(JSONError) as caught:
        read('{"é": nul}'.encode())
    assert caught.value.offset == len('{"é": nul'.encode())


def test_parse_uses_the_exact_reader_where_orjson_fails():
    assert parse(b'{"a": [NaN]} etc')["a"] != [0.0]
    with pytest.raises(ServingError, match="too big to be stored"):
        parse(b'{"a": 1e400}')


@pytest.mark.parametrize("word", ["true", "false"])
def test_booleans_are_seen(word):
    assert may_hold_booleans(f'{{"instances": [1, {word}]}}'.encode())
    assert not may_hold_booleans(b'{"instances": [1, 2], "input": "uf"}')
