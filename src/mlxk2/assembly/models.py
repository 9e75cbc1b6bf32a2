"""What makes the use cases that look after models: in the cache, on the Hub, on this machine."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlxk2.domain.inspection import Inspector
    from mlxk2.domain.usecases.check_health import CheckHealth
    from mlxk2.domain.usecases.disk_usage import DiskUsage
    from mlxk2.domain.usecases.examine import Examine
    from mlxk2.domain.usecases.fit_model import FitModel
    from mlxk2.domain.usecases.list_models import ListModels
    from mlxk2.domain.usecases.prune_cache import PruneCache
    from mlxk2.domain.usecases.pull_model import PullModel
    from mlxk2.domain.usecases.push_model import PushModel
    from mlxk2.domain.usecases.remove_model import RemoveModel
    from mlxk2.domain.usecases.search_models import SearchModels
    from mlxk2.domain.usecases.show_model import ShowModel
    from mlxk2.domain.usecases.verify_models import VerifyModels
    from mlxk2.domain.usecases.watch_servers import WatchServers
    from mlxk2.ports.cache import ModelCache
    from mlxk2.ports.disk import CacheDisk
    from mlxk2.ports.engine import EngineLoader, RuntimeCatalogue
    from mlxk2.ports.examination import HubAccess, Setup
    from mlxk2.ports.hub import Hub
    from mlxk2.ports.pruning import CacheSweeper
    from mlxk2.ports.sources import ModelSource
    from mlxk2.ports.system import Clock, Machine
    from mlxk2.ports.verifying import ContentHasher
    from mlxk2.ports.workspace import Workspace


def inspector(cache: "ModelCache", runtime: "RuntimeCatalogue") -> "Inspector":
    from mlxk2.domain.inspection import Inspector

    return Inspector(cache, runtime)


def list_models(cache: "ModelCache", inspector: "Inspector") -> "ListModels":
    from mlxk2.domain.usecases.list_models import ListModels

    return ListModels(cache, inspector)


def show_model(inspector: "Inspector") -> "ShowModel":
    from mlxk2.domain.usecases.show_model import ShowModel

    return ShowModel(inspector)


def check_health(inspector: "Inspector") -> "CheckHealth":
    from mlxk2.domain.usecases.check_health import CheckHealth

    return CheckHealth(inspector)


def verify_models(
    cache: "ModelCache", inspector: "Inspector", hasher: "ContentHasher", clock: "Clock"
) -> "VerifyModels":
    from mlxk2.domain.usecases.verify_models import VerifyModels

    return VerifyModels(cache, inspector, hasher, clock)


def disk_usage(cache: "ModelCache", disk: "CacheDisk") -> "DiskUsage":
    from mlxk2.domain.usecases.disk_usage import DiskUsage

    return DiskUsage(cache, disk)


def pull_model(cache: "ModelCache", bundled: "ModelSource", hub: "Hub", inspector: "Inspector") -> "PullModel":
    from mlxk2.domain.usecases.pull_model import PullModel

    return PullModel(cache, bundled, hub, inspector)


def remove_model(cache: "ModelCache", inspector: "Inspector") -> "RemoveModel":
    from mlxk2.domain.usecases.remove_model import RemoveModel

    return RemoveModel(cache, inspector)


def prune_cache(sweeper: "CacheSweeper", clock: "Clock") -> "PruneCache":
    from mlxk2.domain.usecases.prune_cache import PruneCache

    return PruneCache(sweeper, clock)


def push_model(workspace: "Workspace", hub: "Hub", cache: "ModelCache") -> "PushModel":
    from mlxk2.domain.usecases.push_model import PushModel

    return PushModel(workspace, hub, cache)


def search_models(hub: "Hub", inspector: "Inspector", machine: "Machine") -> "SearchModels":
    from mlxk2.domain.usecases.search_models import SearchModels

    return SearchModels(hub, inspector, machine)


def fit_model(
    cache: "ModelCache",
    inspector: "Inspector",
    bundled: "ModelSource",
    hub: "Callable[[], Hub]",
    runtime: "RuntimeCatalogue",
    machine: "Machine",
) -> "FitModel":
    from mlxk2.domain.usecases.fit_model import FitModel

    return FitModel(cache, inspector, bundled, hub, runtime, machine)


def examine(
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
