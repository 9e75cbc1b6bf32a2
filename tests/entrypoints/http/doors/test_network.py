"""What only a real server can meet: bodies in pieces, slow clients, heads without end."""

import asyncio
import json
import socket

import pytest

from mlxk2.entrypoints.http.connections import LARGEST_HEAD, Connection
from tests.entrypoints.http.doors.network import head, serving, talk
from tests.entrypoints.http.doors.rooms import WHISPER, Rooms, behind

JSON = "Content-Type: application/json"
CLOSE = "Connection: close"


def _said(*parts: bytes, rooms: Rooms | None = None, protocol: type[Connection] = Connection) -> tuple[bytes, bytes]:
    """Status line with headers, and body."""

    async def scene() -> bytes:
        async with serving(behind(rooms), protocol) as port:
            return await talk(port, *parts)

    before, _, after = asyncio.run(scene()).partition(b"\r\n\r\n")
    return before, after


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_a_body_in_chunks_arrives_whole() -> None:
    said, body = _said(
        head("POST", "/v1/echo", JSON, CLOSE, "Transfer-Encoding: chunked"),
        _chunk(b'{"a"'),
        _chunk(b":1}"),
        _chunk(b""),
    )
    assert said.startswith(b"HTTP/1.1 200")
    assert body == b'{"a":1}'


def test_a_body_in_chunks_that_grows_beyond_the_limit_is_refused_and_the_connection_closed() -> None:
    endless = [_chunk(b" " * 600)] * 3
    said, body = _said(head("POST", "/v1/echo", JSON, "Transfer-Encoding: chunked"), *endless)
    assert said.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in said
    assert "1000 bytes" in json.loads(body)["error"]["message"]


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes() -> None:
    said, _ = _said(head("POST", "/v1/messages/echo", JSON, "Content-Length: 9999999999"))
    assert said.startswith(b"HTTP/1.1 413")


def test_a_client_that_asks_before_it_sends_too_much_is_not_told_to_go_on() -> None:
    said, _ = _said(head("POST", "/v1/echo", JSON, "Content-Length: 5000", "Expect: 100-continue"))
    assert said.startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    said, body = _said(head("POST", "/v1/echo", JSON, "Content-Length: 100"), b'{"a":', rooms=Rooms(patience=0.05))
    assert said.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in said
    assert json.loads(body)["error"]["code"] == "request_timeout"


def test_a_form_that_a_foreign_page_sends_is_refused() -> None:
    body = b'{"model":"x","a":"=b"}'
    lines = ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Content-Type: text/plain", CLOSE)
    said, _ = _said(head("POST", "/v1/echo", *lines, f"Content-Length: {len(body)}"), body)
    assert said.startswith(b"HTTP/1.1 403")
    assert b"access-control" not in said


def test_a_request_by_another_name_is_refused() -> None:
    said, _ = _said(b"GET /v1/models HTTP/1.1\r\nHost: evil.example:8000\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 403")


def test_a_request_without_a_host_is_refused() -> None:
    said, _ = _said(b"GET /v1/models HTTP/1.0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("given", ["a b", "x" * 129, "a\tset-cookie: b", "schl\xfcssel", ""])
def test_a_request_id_that_could_do_harm_is_replaced(given: str) -> None:
    said, _ = _said(head("GET", "/v1/models", f"X-Request-ID: {given}", CLOSE))
    assert said.startswith(b"HTTP/1.1 200")
    assert b"\r\nx-request-id: req_" in said


def test_a_request_id_cannot_bring_headers_of_its_own() -> None:
    said, _ = _said(
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: a\rSet-Cookie: b\r\nConnection: close\r\n\r\n"
    )
    assert b"set-cookie" not in said.lower()


def test_head_has_the_headers_and_no_body() -> None:
    said, body = _said(head("HEAD", "/v1/models", CLOSE))
    assert said.startswith(b"HTTP/1.1 200")
    assert body == b""


def test_head_of_what_is_not_there_has_no_body_either() -> None:
    said, body = _said(head("HEAD", "/nothing", CLOSE))
    assert said.startswith(b"HTTP/1.1 404")
    assert body == b""


@pytest.mark.parametrize("times", [1, 8], ids=["at once", "in pieces"])
def test_a_head_that_is_too_large_is_refused(times: int) -> None:
    line = f"X-Much: {'x' * (LARGEST_HEAD // times + 1)}\r\n".encode()
    said, body = _said(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n", *[line] * times, b"\r\n")
    assert said.startswith(b"HTTP/1.1 431")
    assert json.loads(body)["error"]["code"] == "head_too_large"


def test_a_head_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    said, _ = _said(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Much: ", *[b"x" * 16384] * 6)
    assert said.startswith(b"HTTP/1.1 431")


def test_an_address_that_is_too_long_is_refused() -> None:
    said, _ = _said(head("GET", "/" + "x" * LARGEST_HEAD, CLOSE))
    assert said.startswith(b"HTTP/1.1 431")


class _Hasty(Connection):
    head_seconds = 0.05


@pytest.mark.parametrize("begun", [b"", b"GET /v1/models HTTP/1.1\r\nHost: local"])
def test_a_client_that_does_not_get_to_its_request_is_given_up(begun: bytes) -> None:
    said, _ = _said(begun, protocol=_Hasty)
    assert said.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("next_request", [b"", b"GET /v1/mod"])
def test_a_slow_answer_is_not_mistaken_for_a_slow_head(next_request: bytes) -> None:
    async def scene() -> bytes:
        rooms = Rooms()
        async with serving(behind(rooms), _Hasty) as port:
            asking = asyncio.create_task(
                talk(port, head("POST", "/v1/hold", JSON, "Content-Length: 2"), b"{}", next_request)
            )
            late = asyncio.Event()
            asyncio.get_running_loop().call_later(3 * _Hasty.head_seconds, late.set)
            await late.wait()
            rooms.hold.set()
            return await asking

    assert asyncio.run(scene()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "bytes_sent", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GARBAGE\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_is_told_so(bytes_sent: bytes) -> None:
    said, body = _said(bytes_sent)
    assert said.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_a_failure_in_the_middle_of_an_answer_cuts_the_connection() -> None:
    said, body = _said(head("GET", "/v1/cut"))
    assert said.startswith(b"HTTP/1.1 200")
    assert body == b"5\r\nbegun\r\n"  # the last chunk, which says that all is there, is missing
    assert WHISPER.encode() not in body


def test_a_connection_goes_on_after_an_ordinary_error() -> None:
    said, body = _said(head("GET", "/nothing"), head("GET", "/v1/models", CLOSE))
    assert said.startswith(b"HTTP/1.1 404")
    assert b"HTTP/1.1 200" in body


class _Observed(Connection):
    sends_at_once = 0

    def data_received(self, data: bytes) -> None:
        end = self.transport.get_extra_info("socket")
        type(self).sends_at_once = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        super().data_received(data)


def test_an_answers_body_does_not_wait_until_its_head_was_acknowledged() -> None:
    _said(head("GET", "/v1/models", CLOSE), protocol=_Observed)
    assert _Observed.sends_at_once


@pytest.mark.parametrize("line", [b"x" * 200, b"X-More: y\r\n" * 20], ids=["one without an end", "many"])
def test_lines_after_a_body_in_chunks_have_the_limit_of_a_head(line: bytes) -> None:
    async def scene() -> bool:
        async with serving(behind()) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head("GET", "/health", "Transfer-Encoding: chunked") + b"0\r\nX-First: ")
            sent = 0
            try:
                while sent < 40 * LARGEST_HEAD:
                    writer.write(line * 50)
                    sent += 50 * len(line)
                    await writer.drain()
                    await asyncio.sleep(0)
                await asyncio.wait_for(reader.read(), 20)
            except ConnectionError:
                return True
            return sent < 40 * LARGEST_HEAD or reader.at_eof()

    assert asyncio.run(scene())
