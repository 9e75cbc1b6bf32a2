"""A small application behind the real layers: it has one room for everything that a request can meet there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Scope

from mlxk2.entrypoints.http.bodies import read_json_body
from mlxk2.entrypoints.http.errors import Problem, Refusal
from mlxk2.entrypoints.http.front import fronted
from mlxk2.entrypoints.http.identity import Visit, visit_of
from mlxk2.ports.errors import ModelNotFound

WHISPER = "the prompt that nobody else may read"


@dataclass(frozen=True)
class Allowed:
    largest_body: int = 1000
    deepest_json: int = 64


@dataclass
class Rooms:
    """`patience` is in seconds; `hold` keeps whoever asks /v1/hold until it is set."""

    patience: float = 10.0
    held: int = 0
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: Callable[[], None] = lambda: None

    def router(self) -> Router:
        both = ["/v1/{room}", "/v1/messages/{room}"]
        rooms = {"echo": self._echo, "hold": self._hold, "broken": _broken, "missing": _missing, "busy": _busy}
        posts = [
            Route(place.format(room=name), room, methods=["POST"]) for place in both for name, room in rooms.items()
        ]
        looks = [Route("/v1/models", _fine), Route("/health", _fine), Route("/ready", _fine), Route("/v1/cut", _cut)]
        return Router([*posts, *looks], redirect_slashes=False)

    async def _echo(self, request: Request) -> Response:
        return Response(await read_json_body(request, Allowed(), self.patience), media_type="application/json")

    async def _hold(self, request: Request) -> Response:
        self.held += 1
        self.arrived()
        await self.hold.wait()
        return PlainTextResponse(visit_of(request.scope).client)


def behind(
    rooms: Rooms | None = None,
    *,
    host: str = "127.0.0.1",
    allowed_hosts: Sequence[str] = (),
    cors_origins: Sequence[str] = (),
    api_keys: Sequence[str] = (),
    per_client: int | None = None,
    tell: Sequence[Callable[[Scope, Visit, float], None]] = (),
) -> ASGIApp:
    return fronted(
        (rooms or Rooms()).router(),
        host=host,
        allowed_hosts=allowed_hosts,
        cors_origins=cors_origins,
        api_keys=api_keys,
        per_client=per_client,
        tell=tell,
    )


async def _fine(request: Request) -> Response:
    return PlainTextResponse(visit_of(request.scope).client)


async def _broken(_: Request) -> Response:
    raise KeyError(WHISPER)


async def _missing(_: Request) -> Response:
    raise ModelNotFound("There is no such model; 'mlxk2 list' shows those that are")


async def _busy(_: Request) -> Response:
    raise Refusal(Problem(429, "rate_limit_error", "Too much at once; try again later", retry_after=7))


async def _cut(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"begun"
        raise KeyError(WHISPER)

    return StreamingResponse(pieces())
