"""A body is read within its bounds, and is text when it is there."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from mlxk2.entrypoints.http.bodies import check_depth, check_text, read_json_body
from mlxk2.entrypoints.http.errors import Refusal
from tests.entrypoints.http.doors.asking import HOME, JSON, Reply, ask, post
from tests.entrypoints.http.doors.rooms import Allowed, behind


def _echo(*parts: bytes) -> Reply:
    return ask(behind(), "POST", "/v1/echo", [HOME, JSON], parts)


def test_a_body_in_pieces_is_put_together() -> None:
    assert _echo(b'{"a"', b"", b":1}").body == b'{"a":1}'


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert _echo(b"1" * 1000).status == 200


@pytest.mark.parametrize("parts", [[b"1" * 1001], [b"1" * 600, b"1" * 401], [b"1" * 2000, b""]])
def test_a_body_beyond_the_limit_is_refused_and_the_connection_closed(parts: list[bytes]) -> None:
    reply = _echo(*parts)
    assert (reply.status, reply.header(b"connection")) == (413, b"close")
    assert "1000 bytes" in reply.error["message"]


def test_a_length_beyond_the_limit_is_refused_before_anything_is_read() -> None:
    reply = ask(behind(), "POST", "/v1/echo", [HOME, JSON, (b"content-length", b"1001")], [])
    assert reply.status == 413


def test_a_client_that_leaves_over_its_body_is_not_answered() -> None:
    assert ask(behind(), "POST", "/v1/echo", [HOME, JSON], []).status == 0


@pytest.mark.parametrize("body", [b'{"a":"\xff"}', b'{"a":"\xc3"}', b'{"a":"\xed\xa0\x80"}', b"\xc0\xaf"])
def test_a_body_that_is_no_utf_8_is_refused(body: bytes) -> None:
    reply = post(behind(), body)
    assert reply.status == 400
    assert "UTF-8" in reply.error["message"]


@pytest.mark.parametrize(
    "text",
    [
        rb"\ud800",
        rb"secret\uD8FFsecret",
        rb"\udc00",
        rb"\ud83d\ud83d\ude00",
        rb"\ude00\ud83d",
        rb"\\\ud83d",
        rb"\ud83d\\ude00",
    ],
)
def test_half_a_surrogate_pair_is_refused_without_quoting_it(text: bytes) -> None:
    reply = post(behind(), b'{"a":"%s"}' % text)
    assert reply.status == 400
    assert b"secret" not in reply.body


@pytest.mark.parametrize(
    "text", [rb"\ud83d\ude00", rb"\\ud83d", rb"\\\\ud83d", rb"\uD83D\uDE00\n", rb"\u00e9", b"\xf0\x9f\x98\x80"]
)
def test_whole_characters_are_fine_however_they_are_written(text: bytes) -> None:
    check_text(b'{"a":"%s"}' % text)


@pytest.mark.parametrize("before", range(32768 - 13, 32768 + 2))
def test_long_text_is_judged_as_short_text_is(before: int) -> None:
    check_text(b"x" * before + rb"\ud83d\ude00")
    for half in (rb"\ud83d", rb"\ude00", rb"\ud83d\ud83d\ude00", rb"\ud83d\ude00\ude00"):
        with pytest.raises(Refusal):
            check_text(b"x" * before + half)


@given(st.text(max_size=30))
def test_all_text_is_fine_in_either_spelling(text: str) -> None:
    import json

    check_text(json.dumps({"a": text}).encode())
    check_text(json.dumps({"a": text}, ensure_ascii=False).encode())


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_json_that_is_nested_ten_thousand_deep_is_refused(opening: bytes) -> None:
    with pytest.raises(Refusal, match="64 levels"):
        check_depth(opening * 10_000, 64)


def test_a_server_survives_deep_json() -> None:
    reply = post(behind(), b"[" * 500 + b"]" * 500)
    assert reply.status == 400
    assert "nested" in reply.error["message"]


def test_the_allowed_depth_is_allowed() -> None:
    check_depth(b"[" * 64 + b"]" * 64, 64)
    with pytest.raises(Refusal):
        check_depth(b"[" * 65 + b"]" * 65, 64)


@pytest.mark.parametrize("text", [b"[" * 100, rb"\"" + b"[" * 100, rb"\\\"" + b"{" * 100, b"]" * 100])
def test_brackets_in_text_are_no_nesting(text: bytes) -> None:
    check_depth(b'[{"a":"%s"},{"%s":1}]' % (text, text), 3)


@pytest.mark.parametrize("before", [rb'"\\"', rb'"\""', rb'"\\\\"', rb'"]]]]"', b'""'])
def test_text_before_it_does_not_hide_nesting(before: bytes) -> None:
    with pytest.raises(Refusal):
        check_depth(b"[%s,%s" % (before, b"[" * 10), 10)


@pytest.mark.parametrize("before", range(32768 - 3, 32768 + 2))
def test_long_bodies_are_judged_as_short_ones_are(before: int) -> None:
    check_depth(b"[" + b"[]" * (before // 2) + b'"[[[["' * 3 + b"]", 2)
    with pytest.raises(Refusal):
        check_depth(b"[" + b"[]" * (before // 2) + b'"]]"' + b"[[]]]", 2)


def test_a_long_body_is_judged_while_others_are_served() -> None:
    deep = b'{"a":"%s","b":%s}' % (b"x" * 70_000, b"[" * 100 + b"]" * 100)
    with pytest.raises(Refusal, match="nested"):
        asyncio.run(_read(deep))
    fine = b'{"a":"%s"}' % (b"x" * 70_000)
    assert asyncio.run(_read(fine)) == fine


async def _read(body: bytes) -> bytes:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    request = Request({"type": "http", "headers": []}, receive)
    return await read_json_body(request, Allowed(largest_body=100_000))


def test_many_shallow_objects_are_not_deep() -> None:
    check_depth(b"[" + b",".join([b'{"a":[]}'] * 1000) + b"]", 3)


_VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(alphabet='ab"\\[]{}')),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a"\\[{', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


def _depth(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 0


@given(_VALUES)
def test_the_depth_is_the_one_that_decoding_finds(value: object) -> None:
    import json

    body, depth = json.dumps(value).encode(), _depth(value)
    check_depth(body, depth)
    if depth:
        with pytest.raises(Refusal):
            check_depth(body, depth - 1)
