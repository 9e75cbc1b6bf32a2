"""The whole HTTP application on memory adapters, behind a real server on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mlxk2.adapters.memory import MemoryCache, MemoryEngine
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.entrypoints.http.app import build_app
from mlxk2.entrypoints.http.context import HttpOptions, HttpServices
from mlxk2.testing import healthy_model, memory_program
from mlxk2.testing.files import document
from mlxk2.testing.models import CONFIG
from tests.entrypoints.http.doors.network import serving

MODEL = "mlx-community/tiny-4bit"
CONTEXT = 2_000_000
"""Tokens: room for answers that take longer than any test."""
_PATIENCE = 60.0
"""Seconds after which a test gives up waiting."""


@dataclass(slots=True)
class Client:
    """Speaks to the server as bytes; every method opens a connection of its own. `headers` are whole lines."""

    port: int
    services: HttpServices
    engine: MemoryEngine
    headers: str = ""
    open_writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def send(self, path: str, body: dict[str, Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.open_writers.append(writer)
        data = json.dumps(body).encode()
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"{self.headers}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode()
            + data
        )
        await writer.drain()
        return reader, writer

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and whole body, with the marks of chunks taken out."""
        reader, _ = await self.send(path, body)
        return answer_of(await asyncio.wait_for(reader.read(), _PATIENCE))


def answer_of(raw: bytes) -> tuple[int, bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    return status, _unchunked(body) if b"transfer-encoding: chunked" in head.lower() else body


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return whole


@asynccontextmanager
async def _running(engine: MemoryEngine, options: HttpOptions, limits: ServeLimits) -> AsyncIterator[Client]:
    config = document({**CONFIG, "max_position_embeddings": CONTEXT})
    program = memory_program(MemoryCache([healthy_model(MODEL, files={"config.json": config})]), engine)
    services = HttpServices(program().serve_models(limits), options, "1.2.3")
    try:
        async with serving(build_app(services)) as port:
            client = Client(port, services, engine)
            try:
                yield client
            finally:
                for writer in client.open_writers:
                    writer.close()
    finally:
        await asyncio.to_thread(services.models.close)
        services.threads.shutdown()


def with_server(
    talk: Callable[[Client], Awaitable[None]],
    engine: MemoryEngine | None = None,
    options: HttpOptions | None = None,
    limits: ServeLimits | None = None,
) -> None:
    """Runs the conversation against a server of its own."""

    async def whole() -> None:
        chosen = engine or MemoryEngine(lambda _: "Hello")
        async with _running(chosen, options or HttpOptions(), limits or ServeLimits()) as client:
            await talk(client)

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what other threads do."""
    async with asyncio.timeout(_PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
