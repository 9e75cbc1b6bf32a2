"""What the commands work with; built once, in `container.py`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlxk2.configuration.reading import Configuration
    from mlxk2.domain.usecases.chat_model import ChatModel
    from mlxk2.domain.usecases.check_health import CheckHealth
    from mlxk2.domain.usecases.disk_usage import DiskUsage
    from mlxk2.domain.usecases.examine import Examine
    from mlxk2.domain.usecases.fit_model import FitModel
    from mlxk2.domain.usecases.list_models import ListModels
    from mlxk2.domain.usecases.open_model import OpenModel
    from mlxk2.domain.usecases.prune_cache import PruneCache
    from mlxk2.domain.usecases.pull_model import PullModel
    from mlxk2.domain.usecases.push_model import PushModel
    from mlxk2.domain.usecases.remove_model import RemoveModel
    from mlxk2.domain.usecases.run_model import RunModel
    from mlxk2.domain.usecases.search_models import SearchModels
    from mlxk2.domain.usecases.serve_models import ServeLimits, ServeModels
    from mlxk2.domain.usecases.show_model import ShowModel
    from mlxk2.domain.usecases.unload_model import UnloadModel
    from mlxk2.domain.usecases.verify_models import VerifyModels
    from mlxk2.domain.usecases.watch_servers import WatchServers
    from mlxk2.ports.attachment import Attachment
    from mlxk2.ports.servers import Servers
    from mlxk2.ports.sessions import SessionStore
    from mlxk2.ports.system import Clock, Machine


class ServerStarted(NamedTuple):
    """A server that listens. `url` reaches it from this machine; `models` are the names of those that can be asked for.

    `loading` are the references of those that it loads at once. `needs_key`: clients must send an API key.
    """

    url: str
    host: str
    port: int
    pid: int
    models: tuple[str, ...]
    loading: tuple[str, ...]
    needs_key: bool


class Services(NamedTuple):
    """Makers of use cases, so that a command builds only what it needs.

    `serve` blocks until the server has ended, and calls back once it listens.
    """

    list_models: "Callable[[], ListModels]"
    show_model: "Callable[[], ShowModel]"
    check_health: "Callable[[], CheckHealth]"
    verify_models: "Callable[[], VerifyModels]"
    disk_usage: "Callable[[], DiskUsage]"
    pull_model: "Callable[[], PullModel]"
    remove_model: "Callable[[], RemoveModel]"
    prune_cache: "Callable[[], PruneCache]"
    push_model: "Callable[[], PushModel]"
    search_models: "Callable[[], SearchModels]"
    fit_model: "Callable[[], FitModel]"
    examine: "Callable[[], Examine]"
    open_model: "Callable[[], OpenModel]"
    run_model: "Callable[[], RunModel]"
    chat_model: "Callable[[], ChatModel]"
    serve_models: "Callable[[ServeLimits], ServeModels]"
    serve: "Callable[[Configuration, Callable[[ServerStarted], None]], None]"
    watch_servers: "Callable[[], WatchServers]"
    unload_model: "Callable[[], UnloadModel]"
    servers: "Callable[[], Servers]"
    attachment: "Callable[[], Attachment]"
    sessions: "Callable[[], SessionStore]"
    clock: "Callable[[], Clock]"
    machine: "Callable[[], Machine]"
