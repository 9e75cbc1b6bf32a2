"""Asks the paths under /engine as this user's other programs do, and reads what they say."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from mlxk2.adapters.memory import MemoryEngine
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.entrypoints.http.context import HttpOptions
from mlxk2.ports.attachment import Opened
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Delta, Finished, GenerationRequest
from mlxk2.ports.troubles import Trouble, error_of
from tests.entrypoints.http.doors.asking import Reply
from tests.entrypoints.http.doors.network import head, serving
from tests.entrypoints.http.doors.operated import Operated
from tests.entrypoints.http.program import Client, answer_of, with_server

KEY = "the-local-key-of-a-test"
BEARER = (b"authorization", b"Bearer " + KEY.encode())
PATHS = ("open", "render", "tokenize", "detokenize", "generate", "stats", "status", "unload")
_PATIENCE = 60
OPTIONS = HttpOptions(local_key=KEY)


def lines_of(body: bytes) -> list[Any]:
    """Every line is whole."""
    assert body.endswith(b"\n")
    return [json.loads(line) for line in body.splitlines()]


def failure(told: Any) -> Mlxk2Error:
    """The error that a line tells of."""
    name, message, details, values = told["failed"]
    fields = [tuple(value) if isinstance(value, list) else value for value in values]
    return error_of(Trouble(name, message, details, tuple(fields)))


def refused(reply: Reply) -> Mlxk2Error:
    """The error that is the whole reply."""
    (line,) = lines_of(reply.body)
    assert set(line) == {"failed"}
    return failure(line)


def a_request(prompt: str = "hello", most: int = 5, **more: Any) -> Any:
    """As it is sent."""
    return msgspec.to_builtins(GenerationRequest(tuple(map(ord, prompt)), most, **more))


def opened_by(line: Any) -> Opened:
    return msgspec.convert(line["opened"], Opened)


def deltas_of(lines: list[Any]) -> list[Delta]:
    return [msgspec.convert(line["delta"], Delta) for line in lines if "delta" in line]


def finished_by(lines: list[Any]) -> Finished:
    """What the last line says."""
    return msgspec.convert(lines[-1]["finished"], Finished)


def model_of(server: Operated | Client) -> str:
    """`name@commit` of the first model."""
    offer = server.services.models.offers()[0]
    return f"{offer.name}@{offer.commit}"


class Attached(Operated):
    """A server on loopback, asked with the local key; who asks stays until the answer is there."""

    port = 0

    async def get(self, path: str) -> Reply:
        return await self._asked("GET", path, b"")

    async def post(self, path: str, body: Any) -> Reply:
        return await self._asked("POST", path, json.dumps(body).encode())

    async def _asked(self, method: str, path: str, body: bytes) -> Reply:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = (f"Authorization: Bearer {KEY}", "Content-Type: application/json", f"Content-Length: {len(body)}")
        writer.write(head(method, path, *lines, "Connection: close") + body)
        said = await asyncio.wait_for(reader.read(), _PATIENCE)
        writer.close()
        status, content = answer_of(said)
        headers = [line.partition(b": ")[::2] for line in said.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
        return Reply(status, headers, content)


def attached(
    scene: Callable[[Attached], Awaitable[None]],
    options: HttpOptions = OPTIONS,
    limits: ServeLimits | None = None,
    *,
    held: bool = False,
    broken: bool = False,
) -> None:
    """Plays the scene with a server of its own; `held`: models do not load before `let_load` is set."""
    server = Attached(broken=broken)
    if not held:
        server.let_load.set()

    async def whole() -> None:
        server.start(options, limits or ServeLimits())
        try:
            async with serving(server.app) as server.port:
                await scene(server)
        finally:
            server.let_load.set()
            await asyncio.to_thread(server.services.models.close)
            server.services.close()

    asyncio.run(whole())


def over_network(
    talk: Callable[[Client], Awaitable[None]], engine: MemoryEngine | None = None, options: HttpOptions = OPTIONS
) -> None:
    """A conversation on loopback, whose client sends the local key."""

    async def with_key(client: Client) -> None:
        client.headers = f"Authorization: Bearer {KEY}\r\n"
        await talk(client)

    with_server(with_key, engine, options)
