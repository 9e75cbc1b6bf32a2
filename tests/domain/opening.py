"""Opening models on the memory adapters, with every fake at hand."""

import queue
import threading
from collections.abc import Callable
from dataclasses import replace

from mlxk2.adapters.memory import (
    MEMORY_INFO,
    MemoryAttachment,
    MemoryCache,
    MemoryCatalogue,
    MemoryClock,
    MemoryEngine,
    MemoryEngineLoader,
    MemoryMachine,
    MemoryServers,
    Script,
    StoredModel,
)
from mlxk2.domain.answer import Answer
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.names import name_of
from mlxk2.domain.usecases.answer_run import AnswerRun
from mlxk2.domain.usecases.chat_model import ChatModel
from mlxk2.domain.usecases.open_model import OpenModel
from mlxk2.domain.usecases.open_model_process import InThisProcess
from mlxk2.domain.usecases.open_model_servers import InServers
from mlxk2.domain.usecases.run_model import RunModel
from mlxk2.domain.usecases.serve_requests import RequestGate, gate_before
from mlxk2.ports.engine import Engine, EngineInfo
from mlxk2.ports.generation import Event, Structure
from mlxk2.ports.servers import RunningServer
from mlxk2.testing.contracts.engine.listening import WAIT_SECONDS

VERSION = "2.0"
SERVER = RunningServer(
    url="http://127.0.0.1:8000", key="k", pid=1, port=8000, cache="memory", version=VERSION, started=2.0, log="/log"
)
"""One that this program can use: of its version, and on the cache of `MemoryCache`."""
ELSEWHERE = replace(SERVER, url="http://127.0.0.1:8001", pid=2, port=8001, cache="/another/cache")
OUTDATED = replace(SERVER, url="http://127.0.0.1:8002", pid=3, port=8002, version="1.0")


def pinned(model: StoredModel) -> str:
    """`name@commit` of a model with one revision."""
    (commit,) = model.revisions
    return f"{name_of(model.folder)}@{commit}"


def _form(structure: Structure, prompt: str) -> str:
    """What is said under a structure: the structure itself."""
    del prompt
    return structure.text


def follow(run: AnswerRun, until: Callable[[Event], bool] = lambda _: False) -> Answer:
    """Read an answer as it comes, to its end; the first event of which `until` is true makes nobody want more."""
    waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
    run.start(waiting.put)
    while not run.answer.done:
        event = waiting.get(timeout=WAIT_SECONDS)
        run.read(event)
        if until(event):
            run.cancel()
    return run.answer


class Desk:
    """The use cases that open models. Each model gets an engine of its own in this process; `served` is in servers.

    `budgets` are those of all gates, in the order in which they were made.
    """

    def __init__(
        self,
        *models: StoredModel,
        script: Script = lambda prompt: f"<{prompt}>",
        info: EngineInfo = MEMORY_INFO,
        machine: MemoryMachine | None = None,
        running: tuple[RunningServer, ...] = (),
        served: dict[str, MemoryEngine] | None = None,
    ) -> None:
        cache, catalogue = MemoryCache(list(models)), MemoryCatalogue()
        self.clock = MemoryClock()
        self.engines: list[MemoryEngine] = []
        self.loader = MemoryEngineLoader(lambda _: self._made(MemoryEngine(script, structured=_form, info=info)))
        self.servers = MemoryServers(*running)
        self.attachment = MemoryAttachment(served or {}, budget=5000)
        self.budgets: list[int | None] = []
        self.open = OpenModel(
            cache,
            Inspector(cache, catalogue),
            catalogue,
            InServers(self.servers, lambda: self.attachment, self._gate, cache.place(), VERSION),
            lambda: InThisProcess(self.loader, machine or MemoryMachine(), self._gate),
        )
        self.run = RunModel(self.open)
        self.chat = ChatModel(self.open, self.clock)

    @property
    def engine(self) -> MemoryEngine:
        """The one that was loaded last."""
        return self.engines[-1]

    def _made(self, engine: MemoryEngine) -> MemoryEngine:
        self.engines.append(engine)
        return engine

    def _gate(self, engine: Engine, budget: int | None) -> RequestGate:
        self.budgets.append(budget)
        return gate_before(engine, budget, self.clock, threading.RLock())
