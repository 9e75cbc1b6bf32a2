"""The composition root: which adapter stands behind which port. Only this file imports dependency_injector.

`App(adapters=Adapters(...))` is the program; `services_on` is the same program on any other set of adapters. Imports
inside the factories keep a command from loading what it does not use.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

from mlxk2 import __version__
from mlxk2.entrypoints.cli.context import Services
from mlxk2.settings import Settings


class _HeldBack:
    """An import finder that knows nothing of the packages that dependency_injector tries in passing."""

    names = frozenset({"fast_depends", "fastapi", "pydantic", "pydantic_settings", "starlette", "werkzeug", "yaml"})

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if name in cls.names:
            raise ModuleNotFoundError(f"{name} is not needed here", name=name)
        return None


@contextmanager
def _without_extras() -> Iterator[None]:
    """dependency_injector imports PyYAML, pydantic and others where they are installed, for features not used here.

    Holding them back halves the cost of importing it; packages that are loaded already stay as they are.
    """
    sys.meta_path.insert(0, _HeldBack)
    try:
        yield
    finally:
        sys.meta_path.remove(_HeldBack)


with _without_extras():
    from dependency_injector import containers, providers

if TYPE_CHECKING:
    from mlxk2.configuration.reading import Configuration
    from mlxk2.domain.inspection import Inspector
    from mlxk2.domain.usecases.chat_model import ChatModel
    from mlxk2.domain.usecases.check_health import CheckHealth
    from mlxk2.domain.usecases.examine import Examine
    from mlxk2.domain.usecases.fit_model import FitModel
    from mlxk2.domain.usecases.list_models import ListModels
    from mlxk2.domain.usecases.open_model import OpenModel
    from mlxk2.domain.usecases.open_model_process import InThisProcess
    from mlxk2.domain.usecases.open_model_servers import InServers
    from mlxk2.domain.usecases.pull_model import PullModel
    from mlxk2.domain.usecases.push_model import PushModel
    from mlxk2.domain.usecases.remove_model import RemoveModel
    from mlxk2.domain.usecases.run_model import RunModel
    from mlxk2.domain.usecases.search_models import SearchModels
    from mlxk2.domain.usecases.serve_models import ServeLimits, ServeModels
    from mlxk2.domain.usecases.serve_requests import GateMaker
    from mlxk2.domain.usecases.show_model import ShowModel
    from mlxk2.domain.usecases.unload_model import UnloadModel
    from mlxk2.domain.usecases.watch_servers import WatchServers
    from mlxk2.entrypoints.cli.context import ServerStarted
    from mlxk2.ports.attachment import Attachment
    from mlxk2.ports.cache import ModelCache
    from mlxk2.ports.engine import Engine, EngineLoader, RuntimeCatalogue
    from mlxk2.ports.examination import HubAccess, Setup
    from mlxk2.ports.hub import Hub
    from mlxk2.ports.servers import Servers
    from mlxk2.ports.sessions import SessionStore
    from mlxk2.ports.sources import ModelSource
    from mlxk2.ports.system import Clock, Machine
    from mlxk2.ports.workspace import Workspace


def _cache(root: str) -> "ModelCache":
    from mlxk2.adapters.hfcache import HfCache

    return HfCache(root)


def _bundled() -> "ModelSource":
    from mlxk2.adapters.bundled import BundledDemo

    return BundledDemo()


def _hub(endpoint: str, offline: bool) -> "Hub":  # noqa: FBT001 - from the configuration
    from mlxk2.settings import check_hub

    check_hub(endpoint)  # before huggingface_hub is imported, which stumbles over an odd one
    from mlxk2.adapters.hub import HuggingFaceHub

    return HuggingFaceHub(endpoint, is_offline=offline)


def _hub_access(endpoint: str, offline: bool) -> "HubAccess":  # noqa: FBT001 - from the configuration
    from mlxk2.settings import check_hub

    check_hub(endpoint)
    from mlxk2.adapters.hub.access import HuggingFaceAccess

    return HuggingFaceAccess(endpoint, is_offline=offline)


def _setup() -> "Setup":
    from mlxk2.adapters.system.setup import SystemSetup

    return SystemSetup()


def _trial_loader() -> "EngineLoader":
    """A user waits for it in front of a screen."""
    from mlxk2.adapters.worker.engine import WorkerLoader
    from mlxk2.adapters.worker.watchdog import Patience

    return WorkerLoader(patience=Patience(hang=60.0, load=120.0))


def _workspace() -> "Workspace":
    from mlxk2.adapters.workspace import FolderWorkspace

    return FolderWorkspace()


def _runtime() -> "RuntimeCatalogue":
    from mlxk2.adapters.mlx.catalogue import MlxLmCatalogue

    return MlxLmCatalogue()


def _loader(machine: "Machine") -> "EngineLoader":
    from mlxk2.adapters.mlx.engine import MlxEngineLoader

    return MlxEngineLoader(machine)


def _worker_loader() -> "EngineLoader":
    from mlxk2.adapters.worker.engine import WorkerLoader

    return WorkerLoader()


def _clock() -> "Clock":
    from mlxk2.adapters.system import SystemClock

    return SystemClock()


def _machine() -> "Machine":
    from mlxk2.adapters.system import SystemMachine

    return SystemMachine()


def _servers(runtime_dir: str, state_dir: str) -> "Servers":
    from mlxk2.adapters.servers import RecordedServers

    return RecordedServers(runtime_dir, state_dir)


def _attachment() -> "Attachment":
    from mlxk2.adapters.remote.attachment import HttpAttachment

    return HttpAttachment()


def _sessions(state_dir: str) -> "SessionStore":
    from mlxk2.adapters.sessions import FileSessions

    return FileSessions(state_dir)


def _inspector(cache: "ModelCache", runtime: "RuntimeCatalogue") -> "Inspector":
    from mlxk2.domain.inspection import Inspector

    return Inspector(cache, runtime)


def _list_models(cache: "ModelCache", inspector: "Inspector") -> "ListModels":
    from mlxk2.domain.usecases.list_models import ListModels

    return ListModels(cache, inspector)


def _show_model(inspector: "Inspector") -> "ShowModel":
    from mlxk2.domain.usecases.show_model import ShowModel

    return ShowModel(inspector)


def _check_health(inspector: "Inspector") -> "CheckHealth":
    from mlxk2.domain.usecases.check_health import CheckHealth

    return CheckHealth(inspector)


def _pull_model(cache: "ModelCache", bundled: "ModelSource", hub: "Hub", inspector: "Inspector") -> "PullModel":
    from mlxk2.domain.usecases.pull_model import PullModel

    return PullModel(cache, bundled, hub, inspector)


def _remove_model(cache: "ModelCache", inspector: "Inspector") -> "RemoveModel":
    from mlxk2.domain.usecases.remove_model import RemoveModel

    return RemoveModel(cache, inspector)


def _push_model(workspace: "Workspace", hub: "Hub") -> "PushModel":
    from mlxk2.domain.usecases.push_model import PushModel

    return PushModel(workspace, hub)


def _search_models(hub: "Hub", inspector: "Inspector", machine: "Machine") -> "SearchModels":
    from mlxk2.domain.usecases.search_models import SearchModels

    return SearchModels(hub, inspector, machine)


def _fit_model(
    inspector: "Inspector",
    bundled: "ModelSource",
    hub: "Callable[[], Hub]",
    runtime: "RuntimeCatalogue",
    machine: "Machine",
) -> "FitModel":
    from mlxk2.domain.usecases.fit_model import FitModel

    return FitModel(inspector, bundled, hub, runtime, machine)


def _examine(
    setup: "Setup",
    machine: "Machine",
    cache: "ModelCache",
    inspector: "Inspector",
    access: "Callable[[], HubAccess]",
    watch: "WatchServers",
    loader: "EngineLoader",
    bundled: "ModelSource",
    clock: "Clock",
) -> "Examine":
    from mlxk2.domain.examination.running import Trial
    from mlxk2.domain.usecases.examine import Examine
    from mlxk2.entrypoints.cli.streaming import events

    return Examine(setup, machine, cache, inspector, access, watch, Trial(loader, bundled, clock, events))


def _gates(clock: "Clock") -> "GateMaker":
    import threading

    from mlxk2.domain.usecases.serve_requests import gate_before

    return lambda engine, budget: gate_before(engine, budget, clock, threading.RLock())


def _open_model(
    cache: "ModelCache",
    inspector: "Inspector",
    runtime: "RuntimeCatalogue",
    servers: "InServers",
    process: "Callable[[], InThisProcess]",
) -> "OpenModel":
    from mlxk2.domain.usecases.open_model import OpenModel

    return OpenModel(cache, inspector, runtime, servers, process)


def _in_servers(
    servers: "Servers", attachment: "Callable[[], Attachment]", gates: "GateMaker", cache: "ModelCache"
) -> "InServers":
    from mlxk2.domain.usecases.open_model_servers import InServers

    return InServers(servers, attachment, gates, cache.place(), __version__)


def _in_this_process(loader: "EngineLoader", machine: "Machine", gates: "GateMaker") -> "InThisProcess":
    from mlxk2.domain.usecases.open_model_process import InThisProcess

    return InThisProcess(loader, machine, gates)


def _run_model(open_model: "OpenModel") -> "RunModel":
    from mlxk2.domain.usecases.run_model import RunModel

    return RunModel(open_model)


def _chat_model(open_model: "OpenModel", clock: "Clock") -> "ChatModel":
    from mlxk2.domain.usecases.chat_model import ChatModel

    return ChatModel(open_model, clock)


def _serve_models(
    cache: "ModelCache",
    inspector: "Inspector",
    loader: "EngineLoader",
    machine: "Machine",
    clock: "Clock",
    limits: "ServeLimits | None" = None,
) -> "ServeModels":
    """For servers; without `limits`, with the ordinary ones."""
    import threading

    from mlxk2.domain.usecases.serve_models import ServeLimits, ServeModels
    from mlxk2.domain.usecases.serve_models_finding import ModelFinder
    from mlxk2.domain.usecases.serve_requests import RequestGate, gate_before

    limits = limits or ServeLimits()

    def gates(engine: "Engine", budget: int | None) -> RequestGate:
        lock = threading.RLock()
        return gate_before(engine, budget, clock, lock, queue=limits.queue, patience=limits.patience)

    def spawn(work: Callable[[], object]) -> None:
        threading.Thread(target=work, name="serve-models", daemon=True).start()

    finder = ModelFinder(cache, inspector, limits)
    return ServeModels(finder, loader, gates, limits, machine, clock, threading.Condition(), spawn)


def _watch_servers(servers: "Servers", attachment: "Callable[[], Attachment]") -> "WatchServers":
    from mlxk2.domain.usecases.watch_servers import WatchServers

    return WatchServers(servers, attachment, __version__)


def _unload_model(servers: "Servers", attachment: "Attachment") -> "UnloadModel":
    from mlxk2.domain.usecases.unload_model import UnloadModel

    return UnloadModel(servers, attachment, __version__)


def _serve(
    make_models: "Callable[[ServeLimits], ServeModels]",
    servers: "Servers",
    cache: "ModelCache",
    configuration: "Configuration",
    announce: "Callable[[ServerStarted], None]",
) -> None:
    from mlxk2.serving import serve

    serve(make_models, servers, cache.place(), configuration, announce)


class Adapters(containers.DeclarativeContainer):
    """The real outside world."""

    config = providers.Configuration(strict=True)

    cache = providers.Singleton(_cache, config.cache_root)
    bundled = providers.Singleton(_bundled)
    hub = providers.Singleton(_hub, config.hub, config.offline)
    hub_access = providers.Singleton(_hub_access, config.hub, config.offline)
    setup = providers.Singleton(_setup)
    trial_loader = providers.Singleton(_trial_loader)
    workspace = providers.Singleton(_workspace)
    runtime = providers.Singleton(_runtime)
    clock = providers.Singleton(_clock)
    machine = providers.Singleton(_machine)
    loader = providers.Singleton(_loader, machine)
    worker_loader = providers.Singleton(_worker_loader)
    servers = providers.Singleton(_servers, config.runtime_dir, config.state_dir)
    attachment = providers.Singleton(_attachment)
    sessions = providers.Singleton(_sessions, config.state_dir)


class App(containers.DeclarativeContainer):
    """Use cases on top of whichever adapters are given."""

    adapters = providers.DependenciesContainer()

    inspector = providers.Singleton(_inspector, adapters.cache, adapters.runtime)
    list_models = providers.Factory(_list_models, adapters.cache, inspector)
    show_model = providers.Factory(_show_model, inspector)
    check_health = providers.Factory(_check_health, inspector)
    pull_model = providers.Factory(_pull_model, adapters.cache, adapters.bundled, adapters.hub, inspector)
    remove_model = providers.Factory(_remove_model, adapters.cache, inspector)
    push_model = providers.Factory(_push_model, adapters.workspace, adapters.hub)
    search_models = providers.Factory(_search_models, adapters.hub, inspector, adapters.machine)
    fit_model = providers.Factory(
        _fit_model, inspector, adapters.bundled, adapters.hub.provider, adapters.runtime, adapters.machine
    )
    gates = providers.Singleton(_gates, adapters.clock)
    in_servers = providers.Factory(_in_servers, adapters.servers, adapters.attachment.provider, gates, adapters.cache)
    in_this_process = providers.Factory(_in_this_process, adapters.loader, adapters.machine, gates)
    open_model = providers.Factory(
        _open_model, adapters.cache, inspector, adapters.runtime, in_servers, in_this_process.provider
    )
    run_model = providers.Factory(_run_model, open_model)
    chat_model = providers.Factory(_chat_model, open_model, adapters.clock)
    serve_models = providers.Factory(
        _serve_models, adapters.cache, inspector, adapters.worker_loader, adapters.machine, adapters.clock
    )
    watch_servers = providers.Factory(_watch_servers, adapters.servers, adapters.attachment.provider)
    examine = providers.Factory(
        _examine,
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
    unload_model = providers.Factory(_unload_model, adapters.servers, adapters.attachment)
    serve = providers.Callable(_serve, serve_models.provider, adapters.servers, adapters.cache)

    services = providers.Singleton(
        Services,
        list_models=list_models.provider,
        show_model=show_model.provider,
        check_health=check_health.provider,
        pull_model=pull_model.provider,
        remove_model=remove_model.provider,
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
    adapters = Adapters(config=asdict(settings))
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
    hub_access: "HubAccess | None" = None,
) -> Services:
    """The program on the given adapters: fakes, or the real ones of another program.

    `worker_loader` loads what a server serves; without it, `loader` does that too. Without `servers` none is running.
    """
    from mlxk2.adapters.memory import MemoryAttachment, MemoryHubAccess, MemoryServers, MemorySessions, MemorySetup

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
        "setup": setup or MemorySetup(),
        "hub_access": hub_access or MemoryHubAccess(),
        "trial_loader": worker_loader or loader,
    }
    for name, adapter in chosen.items():
        adapters.set_provider(name, providers.Object(adapter))
    services: Services = App(adapters=adapters).services()
    return services
