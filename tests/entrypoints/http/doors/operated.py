"""The whole application on memory adapters, asked without a network; models load when the test lets them."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

from mlxk2.adapters.memory import (
    MemoryCache,
    MemoryCatalogue,
    MemoryClock,
    MemoryEngine,
    MemoryEngineLoader,
    MemoryHub,
    MemoryMachine,
    MemorySource,
)
from mlxk2.adapters.workspace import FolderWorkspace
from mlxk2.container import services_on
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.entrypoints.http.app import build_app
from mlxk2.entrypoints.http.context import HttpOptions, HttpServices
from mlxk2.ports.errors import OperationError
from mlxk2.testing import healthy_model
from tests.entrypoints.http.doors.asking import HOME, JSON, Header, Reply, asked

MODEL = "org/first"
OTHER = "org/second"


@dataclass
class Operated:
    """A server; `let_load` holds every load back while it is cleared, `broken` makes them fail."""

    let_load: threading.Event = field(default_factory=threading.Event)
    broken: bool = False
    headers: Sequence[Header] = (HOME,)

    def start(self, options: HttpOptions, limits: ServeLimits) -> None:
        program = services_on(
            cache=MemoryCache([healthy_model(MODEL), healthy_model(OTHER)]),
            bundled=MemorySource("mlxk2/demo", {"config.json": b"{}"}),
            hub=MemoryHub(),
            workspace=FolderWorkspace(),
            runtime=MemoryCatalogue(),
            clock=MemoryClock(),
            machine=MemoryMachine(),
            loader=MemoryEngineLoader(self._engine),
        )
        self.services = HttpServices(program.serve_models(limits), options, "1.2.3")
        self.app: ASGIApp = build_app(self.services)

    def _engine(self, _: str) -> MemoryEngine:
        self.let_load.wait()
        if self.broken:
            raise OperationError("The model's weights are damaged; pull it again")
        return MemoryEngine(lambda _: "Hello")

    async def get(self, path: str) -> Reply:
        return await asked(self.app, "GET", path, self.headers)

    async def post(self, path: str, body: Any) -> Reply:
        return await asked(self.app, "POST", path, [*self.headers, JSON], [json.dumps(body).encode()])

    async def load(self, model: str = MODEL, *, wait: bool = True) -> Reply:
        return await self.post("/v1/models/load", {"model": model, "wait": wait})

    async def state(self, model: str = MODEL) -> str:
        status = await asyncio.to_thread(self.services.models.status)
        states: list[str] = [known.offer.state for known in status.models if known.offer.name == model]
        return states[0] if states else "unloaded"

    async def until(self, state: str, model: str = MODEL) -> None:
        """Waits for what happens in other threads."""
        async with asyncio.timeout(20):
            while await self.state(model) != state:
                await asyncio.sleep(0.005)


def operated(
    scene: Callable[[Operated], Awaitable[None]],
    options: HttpOptions | None = None,
    limits: ServeLimits | None = None,
    *,
    held: bool = False,
    broken: bool = False,
    headers: Sequence[Header] = (HOME,),
) -> None:
    """Plays the scene with a server of its own; `held`: models do not load before `let_load` is set."""
    server = Operated(broken=broken, headers=headers)
    if not held:
        server.let_load.set()

    async def whole() -> None:
        server.start(options or HttpOptions(), limits or ServeLimits())
        try:
            await scene(server)
        finally:
            server.let_load.set()
            await asyncio.to_thread(server.services.models.close)
            server.services.threads.shutdown()

    asyncio.run(whole())
