"""One connection to a client: uvicorn's, which can also hand a body to the operating system itself.

Uvicorn buffers what an application sends, so nobody can tell how much of it left, and a connection cannot be cut at an
exact byte. Here the head of an answer goes through uvicorn and its body goes straight into the socket.
"""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .content import PIECE, Body
from .log import Request

_RESET = struct.pack("ii", 1, 0)


class _Passed:
    """Stands for bytes that did not pass through h11, which counts the bytes of a body to know when it is complete."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


class Connection(H11Protocol):
    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Head and body are two writes; without this the second waits for the client to acknowledge the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def push(self, body: Body, offset: int, count: int, request: Request) -> None:
        """Send a part of a body; raises ConnectionError when the client is gone."""
        while self.transport.get_write_buffer_size():  # the head goes first
            await asyncio.sleep(0)
        with self._own_socket() as peer:
            while count > 0:
                try:
                    sent = body.push(peer, offset, min(count, PIECE))
                except BlockingIOError:
                    await self._writable(peer)
                    continue
                if sent == 0:
                    raise OSError("a file became shorter while it was served")
                request.bytes_sent += sent
                offset += sent
                count -= sent
                await asyncio.sleep(0)  # a fast client must not keep the others waiting

    def finish(self, count: int) -> None:
        """Tell h11 that so many bytes of the body were sent."""
        if not self.transport.is_closing():
            self.conn.send_with_data_passthrough(h11.Data(data=cast(bytes, _Passed(count))))

    async def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection in the middle of an answer; all that was pushed still arrives, unless it is reset."""
        if reset and not self.transport.is_closing():
            with self._own_socket() as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()  # nothing is in its buffer: the head left before the body
        while not self.cycle.disconnected:  # so that uvicorn does not complain about an incomplete answer
            await asyncio.sleep(0)

    @contextmanager
    def _own_socket(self) -> Iterator[socket.socket]:
        """A second handle on the connection, since the event loop does not share its own."""
        if self.transport.is_closing():
            raise ConnectionResetError
        with self.transport.get_extra_info("socket").dup() as peer:
            yield peer

    @staticmethod
    async def _writable(peer: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        loop.add_writer(peer, event.set)
        try:
            await event.wait()
        finally:
            loop.remove_writer(peer)
