"""The whole HTTP application in this process, on a thread of its own, as programs that attach to it see it."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from mlxk2.adapters.memory import MemoryCache, MemoryCatalogue, MemoryClock, MemoryHub, MemoryMachine, MemorySource
from mlxk2.adapters.workspace import FolderWorkspace
from mlxk2.container import services_on
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.entrypoints.http.app import build_app
from mlxk2.entrypoints.http.context import HttpOptions, HttpServices
from mlxk2.ports.engine import EngineLoader
from mlxk2.ports.servers import RunningServer
from mlxk2.testing import healthy_model
from mlxk2.testing.files import document
from mlxk2.testing.models import CONFIG
from tests.entrypoints.http.doors.network import serving

KEY = "the-local-key"
_STORED = healthy_model("org/model", files={"config.json": document({**CONFIG, "max_position_embeddings": 2_000_000})})
MODEL = f"org/model@{next(iter(_STORED.revisions))}"


@contextmanager
def attached_server(loader: EngineLoader) -> Iterator[RunningServer]:
    """Offers `MODEL`, whatever `loader` makes of it; ends with the block."""
    program = services_on(
        cache=MemoryCache([_STORED]),
        bundled=MemorySource("mlxk2/demo", {"config.json": b"{}"}),
        hub=MemoryHub(),
        workspace=FolderWorkspace(),
        runtime=MemoryCatalogue(),
        clock=MemoryClock(),
        machine=MemoryMachine(total=None, available=None),  # no bound: long requests fit
        loader=loader,
    )
    services = HttpServices(program.serve_models(ServeLimits()), HttpOptions(local_key=KEY), "1.0")
    listening: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        async with serving(build_app(services)) as port:
            enough = asyncio.Event()
            listening.set_result((port, asyncio.get_running_loop(), enough))
            await enough.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="attached-server")
    thread.start()
    port, loop, enough = listening.result(60)
    try:
        yield RunningServer(f"http://127.0.0.1:{port}", KEY, os.getpid(), port, "/cache", "1.0", 0.0, "/log")
    finally:
        loop.call_soon_threadsafe(enough.set)
        thread.join(60)
        services.models.close()
        services.close()
