"""Asks an ASGI application as a server would, without one."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message

HOME = (b"host", b"127.0.0.1:8000")
JSON = (b"content-type", b"application/json")

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[Header]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        values = [value for known, value in self.headers if known == name]
        assert len(values) < 2, f"{name!r} is there {len(values)} times"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]


def ask(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/v1/models",
    headers: Sequence[Header] = (HOME,),
    body: Sequence[bytes] = (b"",),
    client: tuple[str, int] | None = ("127.0.0.1", 50000),
) -> Reply:
    """One request from beginning to end; the status is 0 when nothing was answered."""
    return asyncio.run(asked(app, method, path, headers, body, client))


def post(app: ASGIApp, body: bytes, *more: Header, path: str = "/v1/echo") -> Reply:
    return ask(app, "POST", path, [HOME, JSON, *more], [body])


async def asked(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/v1/models",
    headers: Sequence[Header] = (HOME,),
    body: Sequence[bytes] = (b"",),
    client: tuple[str, int] | None = ("127.0.0.1", 50000),
) -> Reply:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": client,
        "server": ("127.0.0.1", 8000),
    }
    parts = [
        {"type": "http.request", "body": part, "more_body": number < len(body)} for number, part in enumerate(body, 1)
    ]
    told: list[Message] = []

    async def receive() -> Message:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        told.append(message)

    await app(scope, receive, send)
    if not told:
        return Reply(0, [], b"")
    return Reply(told[0]["status"], list(told[0]["headers"]), b"".join(part.get("body", b"") for part in told[1:]))
