"""What a server's models look like from outside: limits, offers, leases, news while a model is loaded, numbers."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mlxk2.domain.snapshot import JsonObject
from mlxk2.domain.usecases.serve_requests import RequestGate
from mlxk2.ports.engine import Engine, EngineStats
from mlxk2.ports.errors import Mlxk2Error

State = Literal["unloaded", "loading", "loaded", "unloading"]

Spawn = Callable[[Callable[[], object]], None]
"""Lets a piece of work run in the background, however long it takes."""


class Monitor(AbstractContextManager[object], Protocol):
    """Mutual exclusion for moments, that may be entered again from within, and a wait for what others change."""

    def wait_for(self, predicate: Callable[[], bool]) -> bool:
        """Lets others in until one of them notifies, and the predicate, called with the lock held, is true."""

    def notify_all(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """What the models of a server may take.

    `memory`: bytes for all together, None: what the machine has for one program when the server starts. `keep_alive`:
    seconds after which an idle model is unloaded, None: never, 0: at once. `pinned` models are never evicted and never
    expire; to be pinned does not load a model. `allowed`: the only models that may be asked for; empty: all. Both hold
    references as a user writes them. `prefix_cache`: bytes per model, None: a share of its memory. `queue` requests may
    wait for one model, `patience` seconds each.
    """

    memory: int | None = None
    most_models: int | None = None
    keep_alive: float | None = 300.0
    pinned: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    prefix_cache: int | None = None
    queue: int = 256
    patience: float = 300.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be asked for. `created` in seconds since the epoch, `context_length` in tokens."""

    name: str
    commit: str
    created: int
    model_type: str
    capabilities: tuple[str, ...]
    context_length: int | None
    state: State


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """A hold on a loaded model: it stays loaded until `release`, which may be called twice, from any thread."""

    offer: Offer
    engine: Engine
    gate: RequestGate
    generation_config: JsonObject
    _let_go: Callable[[], None] = field(repr=False)

    def release(self) -> None:
        self._let_go()


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """The model is on its way; `stage` says in a few words what is going on."""

    stage: str


@dataclass(frozen=True, slots=True)
class Refused:
    """There will be no lease."""

    error: Mlxk2Error


Told = LoadProgress | Lease | Refused
Tell = Callable[[Told], None]
"""Returns at once. A lease or a refusal comes last, once."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model that is loaded, or about to be or not to be.

    `stage`: what goes on while it loads. `busy` leases are held, `waiting` requests wait for a lease or before the
    engine. `bytes`: what it may take. `expires_in`: seconds until it is unloaded, if nobody asks for it until then.
    `restarts` of its worker.
    """

    offer: Offer
    stage: str
    busy: int
    waiting: int
    bytes: int
    idle_seconds: float | None
    expires_in: float | None
    pinned: bool
    stats: EngineStats | None
    restarts: int


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """Models in memory. `memory_limit` None: no bound. `waiting` requests wait for models that have no place yet."""

    models: tuple[ModelStatus, ...]
    memory_limit: int | None
    memory_taken: int
    waiting: int
