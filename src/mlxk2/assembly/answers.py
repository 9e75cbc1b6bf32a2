"""What makes the use cases that answer with models: in this process, in servers, and as a server."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlxk2 import __version__

if TYPE_CHECKING:
    from mlxk2.configuration.reading import Configuration
    from mlxk2.domain.inspection import Inspector
    from mlxk2.domain.usecases.chat_model import ChatModel
    from mlxk2.domain.usecases.open_model import OpenModel
    from mlxk2.domain.usecases.open_model_process import InThisProcess
    from mlxk2.domain.usecases.open_model_servers import InServers
    from mlxk2.domain.usecases.run_model import RunModel
    from mlxk2.domain.usecases.serve_models import ServeLimits, ServeModels
    from mlxk2.domain.usecases.serve_requests import GateMaker
    from mlxk2.domain.usecases.unload_model import UnloadModel
    from mlxk2.domain.usecases.watch_servers import WatchServers
    from mlxk2.entrypoints.cli.context import ServerStarted
    from mlxk2.ports.attachment import Attachment
    from mlxk2.ports.cache import ModelCache
    from mlxk2.ports.engine import Engine, EngineLoader, RuntimeCatalogue
    from mlxk2.ports.servers import Servers
    from mlxk2.ports.system import Clock, Machine


def gates(clock: "Clock") -> "GateMaker":
    import threading

    from mlxk2.domain.usecases.serve_requests import gate_before

    return lambda engine, budget: gate_before(engine, budget, clock, threading.RLock())


def open_model(
    cache: "ModelCache",
    inspector: "Inspector",
    runtime: "RuntimeCatalogue",
    servers: "InServers",
    process: "Callable[[], InThisProcess]",
) -> "OpenModel":
    from mlxk2.domain.usecases.open_model import OpenModel

    return OpenModel(cache, inspector, runtime, servers, process)


def in_servers(
    servers: "Servers", attachment: "Callable[[], Attachment]", gates: "GateMaker", cache: "ModelCache"
) -> "InServers":
    from mlxk2.domain.usecases.open_model_servers import InServers

    return InServers(servers, attachment, gates, _place(cache), __version__)


def in_this_process(loader: "EngineLoader", machine: "Machine", gates: "GateMaker") -> "InThisProcess":
    from mlxk2.domain.usecases.open_model_process import InThisProcess

    return InThisProcess(loader, machine, gates)


def run_model(open_model: "OpenModel") -> "RunModel":
    from mlxk2.domain.usecases.run_model import RunModel

    return RunModel(open_model)


def chat_model(open_model: "OpenModel", clock: "Clock") -> "ChatModel":
    from mlxk2.domain.usecases.chat_model import ChatModel

    return ChatModel(open_model, clock)


def serve_models(
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


def watch_servers(servers: "Servers", attachment: "Callable[[], Attachment]") -> "WatchServers":
    from mlxk2.domain.usecases.watch_servers import WatchServers

    return WatchServers(servers, attachment, __version__)


def unload_model(servers: "Servers", attachment: "Attachment") -> "UnloadModel":
    from mlxk2.domain.usecases.unload_model import UnloadModel

    return UnloadModel(servers, attachment, __version__)


def serve(
    make_models: "Callable[[ServeLimits], ServeModels]",
    servers: "Servers",
    cache: "ModelCache",
    configuration: "Configuration",
    announce: "Callable[[ServerStarted], None]",
) -> None:
    from mlxk2.serving import serve

    serve(make_models, servers, _place(cache), configuration, announce)


def _place(cache: "ModelCache") -> str:
    """The same for every path to the same folder; a cache in memory has a name and no path."""
    place = cache.place()
    return os.path.realpath(place) if os.path.isabs(place) else place
