"""`doctor`: everything that the program stands on is looked at, one thing after the other."""

from collections.abc import Callable, Iterator

from mlxk2.domain.examination.finding import Finding, examine
from mlxk2.domain.examination.installation import Runtime, check_packages, check_python
from mlxk2.domain.examination.network import Network
from mlxk2.domain.examination.running import Trial, check_servers
from mlxk2.domain.examination.storage import check_cache, check_disk, check_memory
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.usecases.watch_servers import WatchServers
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.examination import HubAccess, Setup
from mlxk2.ports.system import Machine


class Examine:
    def __init__(
        self,
        setup: Setup,
        machine: Machine,
        cache: ModelCache,
        inspector: Inspector,
        access: Callable[[], HubAccess],
        watch: WatchServers,
        trial: Trial,
    ) -> None:
        self._setup = setup
        self._machine = machine
        self._cache = cache
        self._inspector = inspector
        self._access = access
        self._watch = watch
        self._trial = trial

    def __call__(self) -> Iterator[Finding]:
        """Each finding as soon as it is made; raises nothing, the slowest come last."""
        setup, cache, runtime, network = self._setup, self._cache, Runtime(self._setup), Network(self._access)
        yield examine("python", lambda: check_python(setup))
        yield examine("packages", lambda: check_packages(setup))
        yield examine("device", runtime.check_device)
        yield examine("blas", runtime.check_blas)
        yield examine("memory", lambda: check_memory(self._machine))
        yield examine("cache", lambda: check_cache(cache, self._inspector, setup))
        yield examine("disk", lambda: check_disk(cache))
        yield examine("hub", network.check_hub)
        yield examine("token", network.check_token)
        yield examine("servers", lambda: check_servers(self._watch))
        yield examine("generation", self._trial.check_generation)
