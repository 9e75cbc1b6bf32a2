"""What a connection may cost before a request is there: the size of its head, and how long that may take.

The HTTP parser itself waits for ever and keeps whatever comes.
"""

import asyncio
import socket
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mlxk2.entrypoints.http.errors import INVALID, Problem, body_of

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers together."""
HEAD_SECONDS = 30.0
"""From the connection, or from a request's first byte, to the end of its headers."""

_MALFORMED = Problem(400, INVALID, "This is no HTTP request; send HTTP/1.1", code="malformed_request")
_TOO_LARGE = Problem(431, INVALID, f"The headers have over {LARGEST_HEAD} bytes; send fewer", code="head_too_large")
_TOO_SLOW = Problem(
    408, "timeout_error", f"The headers took over {HEAD_SECONDS:g} s; send faster", code="request_timeout"
)


class Connection(HttpToolsProtocol):
    """One client's connection; uvicorn's own, which asks for no bounds."""

    head_seconds = HEAD_SECONDS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = False
        self._head_bytes = self._lines = self._unread = 0
        self._problem = _MALFORMED
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _send_at_once(transport)
        self._set_alarm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_alarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if self._unread > LARGEST_HEAD and not self._in_head:  # one line without an end, behind a body in chunks
            self._refuse(_TOO_LARGE)
            return
        if not self._in_head:
            self._stop_alarm()
            return
        self._head_bytes += len(data)
        if self._head_bytes > LARGEST_HEAD:
            self._refuse(_TOO_LARGE)
        elif self._alarm is None:
            self._set_alarm()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._unread = 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._unread = 0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes, self._lines, self._unread = True, 0, 0, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Lines may follow on a body in chunks, too."""
        super().on_header(name, value)
        self._unread = 0
        self._lines += len(name) + len(value) + 4
        if self._lines > LARGEST_HEAD:
            self._problem = _TOO_LARGE
            raise ValueError(_TOO_LARGE.message)

    def on_headers_complete(self) -> None:
        """Raising ends the parsing, and with it the connection."""
        self._in_head = False
        if len(self.url) + self._lines > LARGEST_HEAD:
            self._problem = _TOO_LARGE
            raise ValueError(_TOO_LARGE.message)
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        del msg
        self._refuse(self._problem)

    def _refuse(self, problem: Problem) -> None:
        """Whoever is in the middle of an answer cannot be told in words."""
        self._in_head = False
        self._stop_alarm()
        if not self.transport.is_closing() and not self._answering():
            body = body_of(problem, "openai", "")
            self.transport.write(
                f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode("ascii")
                + body
            )
        self.transport.close()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _on_alarm(self) -> None:
        """A next request that dawdles does not end the answer to the one before it."""
        if self._answering():
            self._set_alarm()
        else:
            self._refuse(_TOO_SLOW)

    def _set_alarm(self) -> None:
        self._alarm = self.loop.call_later(self.head_seconds, self._on_alarm)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def _send_at_once(transport: asyncio.Transport) -> None:
    """Head and body of an answer are two writes: the second would wait 40 ms for the first to be acknowledged.

    asyncio sees to that only for sockets that were made with the protocol's number.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
