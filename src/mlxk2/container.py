"""The composition root: which adapter stands behind which port. Only this file imports dependency_injector.

`App(adapters=Adapters(...))` is the program; `services_on` is the same program on any other set of adapters. How each
thing is made is told in `assembly`.
"""

from typing import TYPE_CHECKING

from mlxk2.assembly import answers, models, outside
from mlxk2.assembly.lean import without_extras
from mlxk2.entrypoints.cli.context import Services
from mlxk2.settings import Settings

with without_extras():
    from dependency_injector import containers, providers

if TYPE_CHECKING:
    from mlxk2.ports.attachment import Attachment
    from mlxk2.ports.cache import ModelCache
    from mlxk2.ports.disk import CacheDisk
    from mlxk2.ports.engine import EngineLoader, RuntimeCatalogue
    from mlxk2.ports.examination import HubAccess, Setup
    from mlxk2.ports.hub import Hub
    from mlxk2.ports.pruning import CacheSweeper
    from mlxk2.ports.servers import Servers
    from mlxk2.ports.sessions import SessionStore
    from mlxk2.ports.sources import ModelSource
    from mlxk2.ports.system import Clock, Machine
    from mlxk2.ports.verifying import ContentHasher
    from mlxk2.ports.workspace import Workspace


class Adapters(containers.DeclarativeContainer):
    """The real outside world."""

    config = providers.Configuration(strict=True)

    cache = providers.Singleton(outside.cache, config.cache_root, config.state_dir, config.memory_dir)
    disk = providers.Singleton(outside.disk, config.cache_root)
    hasher = providers.Singleton(outside.hasher, config.cache_root, config.memory_dir)
    sweeper = providers.Singleton(outside.sweeper, config.cache_root, config.state_dir)
    bundled = providers.Singleton(outside.bundled)
    hub = providers.Singleton(outside.hub, config.hub, config.offline)
    hub_access = providers.Singleton(outside.hub_access, config.hub, config.offline)
    setup = providers.Singleton(outside.setup)
    trial_loader = providers.Singleton(outside.trial_loader)
    workspace = providers.Singleton(outside.workspace)
    runtime = providers.Singleton(outside.runtime)
    clock = providers.Singleton(outside.clock)
    machine = providers.Singleton(outside.machine)
    loader = providers.Singleton(outside.loader, machine)
    worker_loader = providers.Singleton(outside.worker_loader)
    servers = providers.Singleton(outside.servers, config.runtime_dir, config.state_dir)
    attachment = providers.Singleton(outside.attachment)
    sessions = providers.Singleton(outside.sessions, config.state_dir)


class App(containers.DeclarativeContainer):
    """Use cases on top of whichever adapters are given."""

    adapters = providers.DependenciesContainer()

    inspector = providers.Singleton(models.inspector, adapters.cache, adapters.runtime)
    list_models = providers.Factory(models.list_models, adapters.cache, inspector)
    show_model = providers.Factory(models.show_model, inspector)
    check_health = providers.Factory(models.check_health, inspector)
    verify_models = providers.Factory(models.verify_models, adapters.cache, inspector, adapters.hasher, adapters.clock)
    disk_usage = providers.Factory(models.disk_usage, adapters.cache, adapters.disk)
    pull_model = providers.Factory(models.pull_model, adapters.cache, adapters.bundled, adapters.hub, inspector)
    remove_model = providers.Factory(models.remove_model, adapters.cache, inspector)
    prune_cache = providers.Factory(models.prune_cache, adapters.sweeper, adapters.clock)
    push_model = providers.Factory(models.push_model, adapters.workspace, adapters.hub, adapters.cache)
    search_models = providers.Factory(models.search_models, adapters.hub, inspector, adapters.machine)
    fit_model = providers.Factory(
        models.fit_model,
        adapters.cache,
        inspector,
        adapters.bundled,
        adapters.hub.provider,
        adapters.runtime,
        adapters.machine,
    )
    gates = providers.Singleton(answers.gates, adapters.clock)
    in_servers = providers.Factory(
        answers.in_servers, adapters.servers, adapters.attachment.provider, gates, adapters.cache
    )
    in_this_process = providers.Factory(answers.in_this_process, adapters.loader, adapters.machine, gates)
    open_model = providers.Factory(
        answers.open_model, adapters.cache, inspector, adapters.runtime, in_servers, in_this_process.provider
    )
    run_model = providers.Factory(answers.run_model, open_model)
    chat_model = providers.Factory(answers.chat_model, open_model, adapters.clock)
    serve_models = providers.Factory(
        answers.serve_models, adapters.cache, inspector, adapters.worker_loader, adapters.machine, adapters.clock
    )
    watch_servers = providers.Factory(answers.watch_servers, adapters.servers, adapters.attachment.provider)
    examine = providers.Factory(
        models.examine,
        adapters.setup,
        adapters.machine,
        adapters.cache,
        inspector,
        adapters.hub_access.provider,
        watch_servers,
        adapters.trial_loader,
        adapters.bundled,
        adapters.clock,
    )
    unload_model = providers.Factory(answers.unload_model, adapters.servers, adapters.attachment)
    serve = providers.Callable(answers.serve, serve_models.provider, adapters.servers, adapters.cache)

    services = providers.Singleton(
        Services,
        list_models=list_models.provider,
        show_model=show_model.provider,
        check_health=check_health.provider,
        verify_models=verify_models.provider,
        disk_usage=disk_usage.provider,
        pull_model=pull_model.provider,
        remove_model=remove_model.provider,
        prune_cache=prune_cache.provider,
        push_model=push_model.provider,
        search_models=search_models.provider,
        fit_model=fit_model.provider,
        examine=examine.provider,
        open_model=open_model.provider,
        run_model=run_model.provider,
        chat_model=chat_model.provider,
        serve_models=serve_models.provider,
        serve=serve.provider,
        watch_servers=watch_servers.provider,
        unload_model=unload_model.provider,
        servers=adapters.servers.provider,
        attachment=adapters.attachment.provider,
        sessions=adapters.sessions.provider,
        clock=adapters.clock.provider,
        machine=adapters.machine.provider,
    )


def build_services(settings: Settings) -> Services:
    """The real program on one cache folder and one Hub."""
    adapters = Adapters(config=settings._asdict())
    services: Services = App(adapters=adapters).services()
    return services


def services_on(
    *,
    cache: "ModelCache",
    bundled: "ModelSource",
    hub: "Hub",
    workspace: "Workspace",
    runtime: "RuntimeCatalogue",
    clock: "Clock",
    machine: "Machine",
    loader: "EngineLoader",
    worker_loader: "EngineLoader | None" = None,
    servers: "Servers | None" = None,
    attachment: "Attachment | None" = None,
    sessions: "SessionStore | None" = None,
    setup: "Setup | None" = None,
    disk: "CacheDisk | None" = None,
    hasher: "ContentHasher | None" = None,
    sweeper: "CacheSweeper | None" = None,
    hub_access: "HubAccess | None" = None,
) -> Services:
    """The program on the given adapters: fakes, or the real ones of another program.

    `worker_loader` loads what a server serves; without it, `loader` does that too. Without `servers` none is running.
    Without `sweeper`, nothing is left over in a cache that is not one in memory.
    """
    from mlxk2.adapters.memory import (
        MemoryAttachment,
        MemoryDisk,
        MemoryHasher,
        MemoryHubAccess,
        MemoryServers,
        MemorySessions,
        MemorySetup,
        MemorySweeper,
    )

    adapters = containers.DynamicContainer()
    chosen = {
        "cache": cache,
        "bundled": bundled,
        "hub": hub,
        "workspace": workspace,
        "runtime": runtime,
        "clock": clock,
        "machine": machine,
        "loader": loader,
        "worker_loader": worker_loader or loader,
        "servers": servers or MemoryServers(),
        "attachment": attachment or MemoryAttachment({}),
        "sessions": sessions or MemorySessions(),
        "disk": disk or MemoryDisk(cache),
        "hasher": hasher or MemoryHasher(cache),
        "sweeper": sweeper or MemorySweeper(cache),
        "setup": setup or MemorySetup(),
        "hub_access": hub_access or MemoryHubAccess(),
        "trial_loader": worker_loader or loader,
    }
    for name, adapter in chosen.items():
        adapters.set_provider(name, providers.Object(adapter))
    services: Services = App(adapters=adapters).services()
    return services
