"""A server's models on the memory engine, with the background in a test's hand: for the tests of `ServeModels`."""

import queue
import threading
from collections.abc import Callable

from mlxk2.adapters.memory import (
    MEMORY_INFO,
    MemoryCache,
    MemoryCatalogue,
    MemoryClock,
    MemoryEngine,
    MemoryEngineLoader,
    MemoryMachine,
    StoredModel,
)
from mlxk2.domain.budget import PROCESS
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.usecases.serve_models import Lease, LoadProgress, Refused, ServeLimits, ServeModels, Told, WantId
from mlxk2.domain.usecases.serve_models_finding import ModelFinder
from mlxk2.domain.usecases.serve_requests import RequestGate, gate_before
from mlxk2.ports.engine import Engine, EngineInfo, Loading, LoadOptions, Watch, unwatched
from mlxk2.ports.errors import EngineFailure, Mlxk2Error
from mlxk2.testing import healthy_model
from mlxk2.testing.files import document
from mlxk2.testing.models import CONFIG

WAIT_SECONDS = 60.0
TWO_MODELS = 2 * PROCESS + PROCESS // 2
"""Bytes that two models of these tests fit into, and three do not."""


def tiny(name: str) -> StoredModel:
    """A model whose keys and values cost next to nothing, so that it takes what its process takes."""
    config = {**CONFIG, "max_position_embeddings": 64, "num_key_value_heads": 1}
    return healthy_model(name, files={"config.json": document(config)})


class Listener:
    """What a want heard, in order."""

    def __init__(self) -> None:
        self.want: WantId = 0
        self.heard: list[Told] = []
        self._ended = threading.Event()

    def __call__(self, news: Told) -> None:
        assert not self._ended.is_set(), "something after the end"
        self.heard.append(news)
        if not isinstance(news, LoadProgress):
            self._ended.set()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def end(self) -> Told:
        assert self._ended.wait(WAIT_SECONDS)
        return self.heard[-1]

    @property
    def lease(self) -> Lease:
        end = self.end()
        assert isinstance(end, Lease), end
        return end

    @property
    def error(self) -> Mlxk2Error:
        end = self.end()
        assert isinstance(end, Refused), end
        return end.error

    @property
    def stages(self) -> list[str]:
        return [news.stage for news in self.heard if isinstance(news, LoadProgress)]


class Loader:
    """The memory engine's loader; a model that is named in `errors` fails, the next load of one that is held waits.

    A load that waits can be aborted.
    """

    def __init__(self, info: EngineInfo = MEMORY_INFO) -> None:
        self.engines: dict[str, list[MemoryEngine]] = {}
        self.errors: dict[str, Exception] = {}
        self.held: dict[str, threading.Event] = {}
        self.aborted: list[str] = []
        self.script: Callable[[str], str] = lambda prompt: prompt
        self._info = info
        self._memory = MemoryEngineLoader(self._make)

    @property
    def loaded(self) -> list[tuple[str, LoadOptions]]:
        return [(_name(location), options) for location, options in self._memory.loaded]

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> Engine:
        name = _name(location)
        if name in self.held:
            self._wait(name, self.held.pop(name), watch)
        if name in self.errors:
            raise self.errors[name]
        return self._memory.load(location, options, watch)

    def hold(self, name: str) -> threading.Event:
        self.held[name] = threading.Event()
        return self.held[name]

    def _wait(self, name: str, let_go: threading.Event, watch: Watch) -> None:
        aborted = threading.Event()

        def abort() -> None:
            aborted.set()
            self.aborted.append(name)
            let_go.set()

        watch(Loading("holding on", abort))
        assert let_go.wait(WAIT_SECONDS)
        if aborted.is_set():
            raise EngineFailure("The load was aborted")

    def _make(self, location: str) -> MemoryEngine:
        engine = MemoryEngine(self.script, info=self._info)
        self.engines.setdefault(_name(location), []).append(engine)
        return engine


def _name(location: str) -> str:
    return location.removeprefix("memory:models--").rpartition("/")[0].replace("--", "/")


class Cache(MemoryCache):
    """A cache in memory that breaks when `broken` says how."""

    broken: Exception | None = None

    def folders(self) -> list[str]:
        if self.broken is not None:
            raise self.broken
        return super().folders()


class Background:
    """Work that `run` does, one piece after the other, in the test's own thread."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    def __call__(self, work: Callable[[], object]) -> None:
        self._work.put(work)

    @property
    def is_empty(self) -> bool:
        return self._work.empty()

    def step(self) -> None:
        self._work.get(block=False)()

    def run(self) -> None:
        while not self._work.empty():
            self.step()


def in_thread(work: Callable[[], object]) -> None:
    """A background as the program has it."""
    threading.Thread(target=work, daemon=True).start()


class Bench:
    """Serves `org/a`, `org/b` and `org/c`, unless other models are given. Without `spawn`, nothing runs by itself."""

    def __init__(
        self,
        *models: StoredModel,
        spawn: Callable[[Callable[[], object]], None] | None = None,
        info: EngineInfo = MEMORY_INFO,
        machine: MemoryMachine | None = None,
        limits: ServeLimits | None = None,
    ) -> None:
        self.cache = Cache(models or [tiny(f"org/{letter}") for letter in "abc"])
        self.background = Background()
        self.clock = MemoryClock()
        self.loader = Loader(info)
        inspector = Inspector(self.cache, MemoryCatalogue())
        limits = limits or ServeLimits(memory=TWO_MODELS)
        self.models = ServeModels(
            ModelFinder(self.cache, inspector, limits),
            self.loader,
            self._gate,
            limits,
            machine or MemoryMachine(),
            self.clock,
            threading.Condition(),
            spawn or self.background,
        )

    def want(self, reference: str) -> Listener:
        """Ask, and let everything happen that follows."""
        listener = self.ask(reference)
        self.background.run()
        return listener

    def ask(self, reference: str) -> Listener:
        listener = Listener()
        listener.want = self.models.want(reference, listener)
        return listener

    def _gate(self, engine: Engine, budget: int | None) -> RequestGate:
        return gate_before(engine, budget, self.clock, threading.RLock())
