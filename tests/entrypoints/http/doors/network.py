"""The application behind a real server on loopback, and clients that write their own bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from mlxk2.entrypoints.http.connections import Connection

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def serving(app: ASGIApp, protocol: type[Connection] = Connection) -> AsyncIterator[int]:
    """The port; the socket listens before the server does, so nobody needs to wait for it."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await task


async def talk(port: int, *parts: bytes) -> bytes:
    """What the server has said when it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    said = await asyncio.wait_for(_rest(reader), 20)
    writer.close()
    return said


async def _rest(reader: asyncio.StreamReader) -> bytes:
    said = b""
    try:
        while part := await reader.read(65536):
            said += part
    except ConnectionResetError:  # it closed before it had read everything
        return said
    return said


def head(method: str = "POST", path: str = "/v1/echo", *lines: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", "")).encode("latin-1")
