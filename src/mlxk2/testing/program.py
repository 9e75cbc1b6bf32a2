"""The whole program on memory adapters, for tests of whatever talks to it."""

from collections.abc import Callable
from dataclasses import dataclass

from mlxk2.adapters.memory import (
    MemoryAttachment,
    MemoryCache,
    MemoryCatalogue,
    MemoryClock,
    MemoryEngine,
    MemoryEngineLoader,
    MemoryHasher,
    MemoryHub,
    MemoryHubAccess,
    MemoryMachine,
    MemoryServers,
    MemorySessions,
    MemorySetup,
    MemorySource,
    MemorySweeper,
)
from mlxk2.adapters.workspace import FolderWorkspace
from mlxk2.container import services_on
from mlxk2.entrypoints.cli.context import Services


@dataclass(frozen=True, slots=True)
class Run:
    """What a command left behind."""

    code: int
    out: str
    err: str


def memory_program(
    cache: MemoryCache,
    engine: MemoryEngine | None = None,
    bundled: MemorySource | None = None,
    clock: MemoryClock | None = None,
    hub: MemoryHub | None = None,
    machine: MemoryMachine | None = None,
    servers: MemoryServers | None = None,
    attachment: MemoryAttachment | None = None,
    sessions: MemorySessions | None = None,
    setup: MemorySetup | None = None,
    hub_access: MemoryHubAccess | None = None,
    hasher: MemoryHasher | None = None,
    sweeper: MemorySweeper | None = None,
) -> Callable[[], Services]:
    """The container's services with every adapter replaced by its twin in memory."""
    services = services_on(
        cache=cache,
        bundled=bundled or MemorySource("mlxk2/demo", {"config.json": b"{}"}),
        hub=hub or MemoryHub(),
        workspace=FolderWorkspace(),
        runtime=MemoryCatalogue(),
        clock=clock or MemoryClock(),
        machine=machine or MemoryMachine(),
        loader=MemoryEngineLoader(engine or MemoryEngine(lambda prompt: prompt)),
        servers=servers,
        attachment=attachment,
        sessions=sessions,
        setup=setup,
        hub_access=hub_access,
        hasher=hasher,
        sweeper=sweeper,
    )
    return lambda: services
