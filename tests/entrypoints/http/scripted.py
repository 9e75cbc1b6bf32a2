"""One API's door behind the layers of the server, before a scripted engine, for that API's own client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.routing import Route, Router
from starlette.types import ASGIApp

from mlxk2.adapters.memory import MemoryCache, MemoryEngine
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.entrypoints.http.context import HttpOptions, HttpServices
from mlxk2.entrypoints.http.front import fronted
from mlxk2.testing.models import healthy_model
from mlxk2.testing.program import memory_program

T = TypeVar("T")
KEY = "secret"


def with_door(
    routes: Callable[[HttpServices], list[Route]], engine: MemoryEngine, talk: Callable[[ASGIApp], Awaitable[T]]
) -> T:
    """What came of the talk with a server that has one model and wants `KEY`."""
    pool = memory_program(MemoryCache([healthy_model()]), engine)().serve_models(ServeLimits())
    services = HttpServices(pool, HttpOptions(), "1")
    app = fronted(
        Router(routes(services)),
        host="127.0.0.1",
        allowed_hosts=(),
        cors_origins=(),
        api_keys=(KEY,),
        per_client=None,
        tell=(),
    )

    async def run() -> T:
        return await talk(app)

    try:
        return asyncio.run(run())
    finally:
        pool.close()
        services.close()
