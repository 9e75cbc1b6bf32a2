"""What makes the adapters: the cache, the Hub, the engines, the machine, and what other programs left on it."""

from typing import TYPE_CHECKING

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


def cache(root: str, state_dir: str, memory_dir: str) -> "ModelCache":
    from mlxk2.adapters.hfcache import HfCache

    return HfCache(root, state_dir, memory_dir)


def disk(root: str) -> "CacheDisk":
    from mlxk2.adapters.hfcache.disk import HfCacheDisk

    return HfCacheDisk(root)


def hasher(root: str, memory_dir: str) -> "ContentHasher":
    from mlxk2.adapters.hfcache.checking import HfContentHasher

    return HfContentHasher(root, memory_dir)


def sweeper(root: str, state_dir: str) -> "CacheSweeper":
    from mlxk2.adapters.hfcache.sweeper import HfSweeper

    return HfSweeper(root, state_dir)


def bundled() -> "ModelSource":
    from mlxk2.adapters.bundled import BundledDemo

    return BundledDemo()


def hub(endpoint: str, offline: bool) -> "Hub":  # noqa: FBT001 - from the configuration
    from mlxk2.settings import check_hub

    check_hub(endpoint)  # before huggingface_hub is imported, which stumbles over an odd one
    from mlxk2.adapters.hub import HuggingFaceHub

    return HuggingFaceHub(endpoint, is_offline=offline)


def hub_access(endpoint: str, offline: bool) -> "HubAccess":  # noqa: FBT001 - from the configuration
    from mlxk2.settings import check_hub

    check_hub(endpoint)
    from mlxk2.adapters.hub.access import HuggingFaceAccess

    return HuggingFaceAccess(endpoint, is_offline=offline)


def setup() -> "Setup":
    from mlxk2.adapters.system.setup import SystemSetup

    return SystemSetup()


def trial_loader() -> "EngineLoader":
    """A user waits for it in front of a screen."""
    from mlxk2.adapters.worker.engine import WorkerLoader
    from mlxk2.adapters.worker.watchdog import Patience

    return WorkerLoader(patience=Patience(hang=60.0, load=120.0))


def workspace() -> "Workspace":
    from mlxk2.adapters.workspace import FolderWorkspace

    return FolderWorkspace()


def runtime() -> "RuntimeCatalogue":
    from mlxk2.adapters.mlx.catalogue import MlxLmCatalogue

    return MlxLmCatalogue()


def loader(machine: "Machine") -> "EngineLoader":
    from mlxk2.adapters.mlx.engine import MlxEngineLoader

    return MlxEngineLoader(machine)


def worker_loader() -> "EngineLoader":
    from mlxk2.adapters.worker.engine import WorkerLoader

    return WorkerLoader()


def clock() -> "Clock":
    from mlxk2.adapters.system import SystemClock

    return SystemClock()


def machine() -> "Machine":
    from mlxk2.adapters.system import SystemMachine

    return SystemMachine()


def servers(runtime_dir: str, state_dir: str) -> "Servers":
    from mlxk2.adapters.servers import RecordedServers

    return RecordedServers(runtime_dir, state_dir)


def attachment() -> "Attachment":
    from mlxk2.adapters.remote.attachment import HttpAttachment

    return HttpAttachment()


def sessions(state_dir: str) -> "SessionStore":
    from mlxk2.adapters.sessions import FileSessions

    return FileSessions(state_dir)
